# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Draws a trace for run-series, which sets dir, trace, seconds (of the trace) and rest (seconds
# after it): with huge folios above, without below.
set terminal svg noenhanced size 900,640 font "sans-serif,13" background "white"
set datafile separator ","
set multiplot layout 2,1 title trace . ": memory behind the arena"
set xrange [0:seconds + rest]
set yrange [0:*]
set ylabel "MiB"
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror out
set key outside right top samplen 2 spacing 1.2
set arrow from seconds, graph 0 to seconds, graph 1 nohead dt 3 lc rgb "#888888"
mib = 1048576.0
file(huge, release) = sprintf("%s/%s-%s-%s.csv", dir, trace, huge, release)
do for [huge in "auto never"] {
	set title (huge eq "auto" ? "huge folios (the default)" : "no huge folios") offset 0, -0.6
	set xlabel (huge eq "auto" ? "" : "seconds of the trace")
	plot file(huge, "never") every ::1 using 1:($2 / mib) with filledcurves y1=0 \
			lc rgb "#d9d9d9" title "in use", \
		file(huge, "never") every ::1 using 1:($3 / mib) with lines lw 1.5 \
			lc rgb "#c0392b" title "never released", \
		file(huge, "default") every ::1 using 1:($3 / mib) with lines lw 2 \
			lc rgb "#1f5fa8" title "default", \
		file(huge, "at-once") every ::1 using 1:($3 / mib) with lines lw 1 \
			lc rgb "#2e8b57" title "at once"
}
unset multiplot
