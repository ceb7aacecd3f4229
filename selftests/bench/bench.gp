# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Draws what "report plot" wrote for run-bench, which sets dir, and what: reuse or traces.
set terminal svg noenhanced size 900,520 font "sans-serif,13" background "white"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.9
set logscale y
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror out
set xtics rotate by -35
set rmargin 16
set key outside top center horizontal
if (what eq "reuse") {
	set title "free, allocate and touch every page: score (logarithmic; less is better)"
	set ylabel "instruction equivalents"
	set format y "%.0s%c"
	plot dir . "/reuse.dat" using 2:xtic(1) lc rgb "#9ecae1" title "8 KiB", \
		"" using 3 lc rgb "#4292c6" title "64 KiB", \
		"" using 4 lc rgb "#08519c" title "256 KiB", \
		"" using 5 lc rgb "#f28e2b" title "2 MiB"
} else {
	stats dir . "/traces.dat" using 2 skip 1 nooutput
	set title "traces: score in millions (logarithmic; less is better)"
	set ylabel "millions of instruction equivalents"
	plot for [i=2:STATS_columns] dir . "/traces.dat" using i:xtic(1) title columnheader(i)
}
