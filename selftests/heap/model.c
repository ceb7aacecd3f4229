// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* See model.h.  Numbers of rules and invariants are those of span_heap.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define NONE	(~(u64)0)

static u64 up(u64 n, u64 unit)
{
	return (n + unit - 1) / unit * unit;
}

static u64 down(u64 n, u64 unit)
{
	return n / unit * unit;
}

static u64 page_size(const struct model *m)
{
	return (u64)1 << m->cfg.page_shift;
}

static u64 granule(const struct model *m)
{
	return (u64)1 << m->cfg.granule_shift;
}

/* Whole units of @unit bytes inside a span: their number, and where the first begins. */
static u64 whole_units(const struct model *m, u64 base, u64 unit, u64 *offset)
{
	u64 begin = up(base * page_size(m), unit);
	u64 end = down((base + m->at[base].npages) * page_size(m), unit);

	*offset = begin;
	return begin < end ? (end - begin) / unit : 0;
}

/* pb(s): its size in bytes, and where it begins. */
static u64 pb(const struct model *m, u64 base, u64 *offset)
{
	if (page_size(m) >= granule(m)) {
		*offset = base * page_size(m);
		return m->at[base].npages * page_size(m);
	}
	return whole_units(m, base, granule(m), offset) * granule(m);
}

static u64 huge_pages(const struct model *m, u64 base)
{
	u64 offset;

	return whole_units(m, base, (u64)1 << m->cfg.huge_shift, &offset);
}

static bool on_granule(const struct model *m, u64 page)
{
	return page_size(m) >= granule(m) || page * page_size(m) % granule(m) == 0;
}

static u64 span_end(const struct model *m, u64 base)
{
	return base + m->at[base].npages;
}

/* The span that ends where this one begins, or NONE. */
static u64 span_before(const struct model *m, u64 base)
{
	return base ? model_find(m, base - 1) : NONE;
}

/* The span that begins where this one ends, or NONE. */
static u64 span_after(const struct model *m, u64 base)
{
	return model_find(m, span_end(m, base));
}

static bool is_free(const struct model *m, u64 base)
{
	return base != NONE && m->at[base].state == SPAN_FREE;
}

static bool is_free_kind(const struct model *m, u64 base, bool scavenged)
{
	return is_free(m, base) && m->at[base].scavenged == scavenged;
}

/* Rule 12, of which span @s is the one that lives on. */
static u64 merge(struct model *m, u64 first, u64 second, u64 s)
{
	struct model_span sum = m->at[s];

	sum.npages = m->at[first].npages + m->at[second].npages;
	sum.needzero = m->at[first].needzero || m->at[second].needzero;
	m->at[second].npages = 0;
	m->at[first] = sum;
	m->spares++;
	return first;
}

/* Rule 14.  Returns where the second span begins then. */
static u64 realign(struct model *m, u64 first, u64 second)
{
	u64 pages = granule(m) / page_size(m), boundary;
	struct model_span moved = m->at[second];

	if (on_granule(m, second))
		return second;
	boundary = m->at[first].scavenged ? down(second, pages) : up(second, pages);
	moved.npages = span_end(m, second) - boundary;
	m->at[second].npages = 0;
	m->at[first].npages = boundary - first;
	m->at[boundary] = moved;
	return boundary;
}

/* Recently freed: what needs all free spans alike forgets which these are. */

static bool is_recent(const struct model *m, u64 base)
{
	unsigned int i;

	for (i = 0; i < m->nr_recent; i++)
		if (m->recent[i] == base)
			return true;
	return false;
}

/* The last one whose size falls into the same list, as a place in m->recent; or -1. */
static int last_recent(const struct model *m, u64 npages)
{
	int i;

	for (i = m->nr_recent; i-- > 0;)
		if (m->at[m->recent[i]].npages % SPAN_HEAP_RECENT_LISTS ==
		    npages % SPAN_HEAP_RECENT_LISTS)
			return i;
	return -1;
}

static void add_recent(struct model *m, u64 s)
{
	int last = last_recent(m, m->at[s].npages);

	if (m->nr_recent == SPAN_HEAP_RECENT ||
	    (last >= 0 && m->at[m->recent[last]].npages != m->at[s].npages))
		m->nr_recent = 0;
	m->recent[m->nr_recent++] = s;
}

/* The last one of just this size, or NONE. */
static u64 take_recent(struct model *m, u64 npages)
{
	int last = last_recent(m, npages), i;
	u64 s;

	if (last < 0 || m->at[m->recent[last]].npages != npages)
		return NONE;
	s = m->recent[last];
	m->nr_recent--;
	for (i = last; i < (int)m->nr_recent; i++)
		m->recent[i] = m->recent[i + 1];
	return s;
}

/* Would coalescing do anything to a free span, before rule 15? */
static bool alone(const struct model *m, u64 s)
{
	u64 before = span_before(m, s), after = span_after(m, s);

	if (is_free(m, before) && (!m->at[before].scavenged || !on_granule(m, s)))
		return false;
	return !is_free(m, after) || (m->at[after].scavenged && on_granule(m, after));
}

/* Rules 12 to 15 for a free span.  Returns where it begins then. */
static u64 coalesce(struct model *m, u64 s)
{
	u64 huge = huge_pages(m, s), other;

	if (is_recent(m, span_before(m, s)) || is_recent(m, span_after(m, s)))
		m->nr_recent = 0;
	other = span_before(m, s);
	if (is_free_kind(m, other, m->at[s].scavenged)) {
		huge += huge_pages(m, other);
		s = merge(m, other, s, s);
	} else if (is_free(m, other)) {
		s = realign(m, other, s);
	}

	other = span_after(m, s);
	if (is_free_kind(m, other, m->at[s].scavenged)) {
		huge += huge_pages(m, other);
		s = merge(m, s, other, s);
	} else if (is_free(m, other)) {
		realign(m, s, other);
	}

	if (!m->at[s].scavenged && huge_pages(m, s) > huge && m->ops->hugepage)
		m->ops->hugepage(m->ctx, s * page_size(m), m->at[s].npages * page_size(m));
	return s;
}

/* Rule 6: puts back what was cut off from a span. */
static void put_back(struct model *m, const struct model_span *old, u64 base, u64 npages)
{
	u64 offset;

	m->at[base] = *old;
	m->at[base].npages = npages;
	m->at[base].state = SPAN_FREE;
	m->at[base].scavenged = old->scavenged && pb(m, base, &offset);
	m->spares--;
}

/* Rule 5: cuts a span that is not free to [@base, @base + @npages). */
static void cut(struct model *m, u64 s, u64 base, u64 npages)
{
	struct model_span old = m->at[s];
	u64 tail = base + npages, end = span_end(m, s);

	m->at[base] = old;
	m->at[base].npages = npages;
	if (s < base)
		put_back(m, &old, s, base - s);
	if (tail < end)
		put_back(m, &old, tail, end - tail);

	if (s < base)
		coalesce(m, s);
	if (tail < end)
		coalesce(m, tail);
}

/* Rules 1 to 3: the span of a kind that a request goes to, or NONE. */
static u64 choose_kind(const struct model *m, bool scavenged, u64 npages, u64 align)
{
	u64 s, best = NONE;
	int ties = 0;

	for (s = 0; s < m->grown; s = span_end(m, s)) {
		if (!is_free_kind(m, s, scavenged) || up(s, align) + npages > span_end(m, s))
			continue;
		if (best == NONE || (m->cfg.fit != SPAN_FIT_FIRST &&
				     m->at[s].npages < m->at[best].npages))
			best = s;
	}
	if (best == NONE || m->cfg.fit != SPAN_FIT_PLACED || align > 1 || !m->ops->prefer)
		return best;

	for (s = best; s < m->grown && ties < SPAN_HEAP_TIES; s = span_end(m, s)) {
		if (!is_free_kind(m, s, scavenged) || m->at[s].npages != m->at[best].npages)
			continue;
		if (m->ops->prefer(m->ctx, s * page_size(m), m->at[s].npages * page_size(m)))
			return s;
		ties++;
	}
	return best;
}

/* Rule 2 */
static u64 choose(const struct model *m, u64 npages, u64 align)
{
	u64 s = choose_kind(m, false, npages, align);

	return s != NONE ? s : choose_kind(m, true, npages, align);
}

/* Rule 3: the page of a span where a request goes. */
static u64 place(const struct model *m, u64 s, u64 npages, u64 align)
{
	u64 huge = ((u64)1 << m->cfg.huge_shift) / page_size(m);
	u64 where = up(s, huge > align ? huge : align);

	if (m->cfg.fit == SPAN_FIT_PLACED && npages >= huge && where + npages <= span_end(m, s))
		return where;
	return up(s, align);
}

/* Rule 9, with just as many units as make the request fit at the end of the heap. */
static bool grow_to(struct model *m, u64 end)
{
	u64 unit = m->cfg.growth / page_size(m), left = m->pages - m->grown;
	u64 s, more = 0;

	do {
		if (more == left)
			return false;
		more = more + unit < left ? more + unit : left;
	} while (end > m->grown + more);

	s = m->grown;
	m->grown += more;
	m->at[s] = (struct model_span){ .npages = more, .state = SPAN_FREE, .scavenged = true };
	m->spares--;
	m->counts.nr_grow++;
	if (m->ops->map)
		m->ops->map(m->ctx, s * page_size(m), more * page_size(m));
	coalesce(m, s);
	return true;
}

static bool grow(struct model *m, u64 npages, u64 align)
{
	u64 s = m->grown, last = span_before(m, m->grown);

	if (is_free_kind(m, last, true))
		s = last;
	return grow_to(m, up(s, align) + npages);
}

/* What was scavenged can be used: rule 7. */
static void make_ready(struct model *m, u64 offset, u64 len)
{
	if (m->cfg.debug && m->ops->map)
		m->ops->map(m->ctx, offset, len);
	if (m->ops->used)
		m->ops->used(m->ctx, offset, len);
}

/*
 * Rule 16: releases a span, which is in transit meanwhile.  A neighbour may have been
 * scavenged in the meantime, or (in a debug heap) all along, and a granule may lie across
 * the boundary: part of it is still backed.  Then the span returns as a backed one.
 */
static s64 release(struct model *m, u64 s, int (*op)(void *ctx, u64 offset, u64 len))
{
	u64 offset, bytes = pb(m, s, &offset);
	bool torn;
	int err;

	m->at[s].state = SPAN_TRANSIT;
	err = op ? op(m->ctx, offset, bytes) : 0;
	m->at[s].state = SPAN_FREE;

	torn = (is_free_kind(m, span_before(m, s), true) && !on_granule(m, s)) ||
	       (is_free_kind(m, span_after(m, s), true) && !on_granule(m, span_end(m, s)));
	if (torn && !err)
		make_ready(m, offset, bytes);
	m->at[s].scavenged = !err && !torn;
	coalesce(m, s);
	return err ? err : torn ? 0 : (s64)bytes;
}

/* Rule 10 */
static int find_inuse(const struct model *m, u64 base, u64 npages)
{
	if (base >= m->grown || !m->at[base].npages || m->at[base].state != SPAN_INUSE)
		return -ENOENT;
	return npages && npages != m->at[base].npages ? -EINVAL : 0;
}

/* Rule 11 */
static void put_free(struct model *m, u64 base, u64 now)
{
	u64 offset;

	m->at[base].state = SPAN_FREE;
	m->at[base].needzero = true;
	m->at[base].unusedsince = now;
	if (m->cfg.debug && m->ops->fault && pb(m, base, &offset))
		release(m, base, m->ops->fault);
	else if (m->cfg.reuse && alone(m, base))
		add_recent(m, base);
	else
		coalesce(m, base);
}

static void note_peak(struct model *m)
{
	struct span_heap_stats stats;

	model_stats(m, &stats);
	if (stats.heap_inuse > m->counts.inuse_peak)
		m->counts.inuse_peak = stats.heap_inuse;
}

/* Rules 4 to 7 for every free span of a range, of which one span is made. */
static int take(struct model *m, u64 base, u64 npages, bool *was_scavenged)
{
	u64 s, start, end;

	if (m->spares < SPAN_HEAP_SPARES || base + npages > m->pages)
		return -ENOMEM;
	for (s = model_find(m, base); s != NONE && s < base + npages; s = span_after(m, s))
		if (m->at[s].state != SPAN_FREE)
			return m->at[s].state == SPAN_INUSE ? -EEXIST : -EBUSY;
	m->nr_recent = 0;
	if (base + npages > m->grown && !grow_to(m, base + npages))
		return -ENOMEM;

	*was_scavenged = true;
	for (start = base; start < base + npages; start = end) {
		bool scavenged;

		s = model_find(m, start);
		end = span_end(m, s) < base + npages ? span_end(m, s) : base + npages;
		scavenged = m->at[s].scavenged;
		m->at[s].state = SPAN_INUSE;
		cut(m, s, start, end - start);
		m->at[start].scavenged = false;
		if (scavenged)
			make_ready(m, start * page_size(m), (end - start) * page_size(m));
		*was_scavenged &= scavenged;
		if (start > base)
			merge(m, base, start, base);
	}
	m->at[base].unusedsince = 0;
	return 0;
}

int model_alloc_at(struct model *m, u64 base, u64 npages, bool *needzero, bool *was_scavenged)
{
	int err;

	if (!npages || npages > SPAN_HEAP_MAX_PAGES)
		return -EINVAL;
	err = take(m, base, npages, was_scavenged);
	if (err)
		return err;
	m->counts.nr_alloc++;
	note_peak(m);
	*needzero = m->at[base].needzero;
	return 0;
}

int model_resize(struct model *m, u64 base, u64 old_npages, u64 npages, u64 now, bool *needzero,
		 bool *was_scavenged)
{
	struct model_span rest;
	u64 had;
	int err;

	if (!npages || npages > SPAN_HEAP_MAX_PAGES)
		return -EINVAL;
	err = find_inuse(m, base, old_npages);
	if (err)
		return err;
	if (m->spares < SPAN_HEAP_SPARES)
		return -ENOMEM;
	had = m->at[base].npages;
	*was_scavenged = false;
	*needzero = false;
	if (npages > had) {
		err = take(m, base + had, npages - had, was_scavenged);
		if (err)
			return err;
		merge(m, base, base + had, base);
		note_peak(m);
		*needzero = m->at[base].needzero;
	}
	if (npages < had) {
		rest = m->at[base];
		rest.npages = had - npages;
		m->at[base].npages = npages;
		m->at[base + npages] = rest;
		m->spares--;
		put_free(m, base + npages, now);
	}
	return 0;
}

int model_alloc(struct model *m, u64 npages, u64 align, u64 *base, bool *needzero,
		bool *was_scavenged)
{
	bool scavenged;
	u64 s, where;

	if (!align)
		align = 1;
	if (!npages || npages > SPAN_HEAP_MAX_PAGES || (align & (align - 1)))
		return -EINVAL;
	if (m->spares < SPAN_HEAP_SPARES)
		return -ENOMEM;

	/* Of what is larger than the arena, only page 0 is a multiple. */
	if (align > m->pages)
		align = m->pages > 1 ? m->pages : 2;
	s = m->cfg.reuse && align == 1 ? take_recent(m, npages) : NONE;
	if (s == NONE) {
		m->nr_recent = 0;
		s = choose(m, npages, align);
	}
	if (s == NONE && grow(m, npages, align))
		s = choose(m, npages, align);
	if (s == NONE)
		return -ENOMEM;

	/* Rules 4 to 8.  No longer free, it is not coalesced with what is cut off. */
	scavenged = m->at[s].scavenged;
	m->at[s].state = SPAN_INUSE;
	where = m->at[s].npages == npages ? s : place(m, s, npages, align);
	cut(m, s, where, npages);
	s = where;
	m->at[s].scavenged = false;
	m->at[s].unusedsince = 0;
	if (scavenged)
		make_ready(m, s * page_size(m), npages * page_size(m));
	m->counts.nr_alloc++;
	note_peak(m);
	*base = s;
	*needzero = m->at[s].needzero;
	*was_scavenged = scavenged;
	return 0;
}

int model_free(struct model *m, u64 base, u64 npages, u64 now)
{
	int err = find_inuse(m, base, npages);

	if (err)
		return err;
	m->counts.nr_free++;
	put_free(m, base, now);
	return 0;
}

s64 model_scavenge(struct model *m, u64 s)
{
	u64 offset, len, from, to, base = s, end;
	s64 ret;

	if (!is_free_kind(m, s, false) || !pb(m, s, &offset))
		return 0;
	if (is_recent(m, s))
		m->nr_recent = 0;
	len = pb(m, s, &offset);
	end = span_end(m, s);

	/* Where only a part is to be released, rule 17 splits the span first. */
	if (m->ops->trim) {
		from = offset;
		to = len;
		if (!m->ops->trim(m->ctx, &from, &to))
			return 0;
		to += from;
		if (from > offset)
			base = from / page_size(m);
		if (to < offset + len)
			end = to / page_size(m);
		if ((base != s || end != span_end(m, s)) && m->spares < SPAN_HEAP_SPARES)
			return -ENOMEM;
	}
	m->at[s].state = SPAN_TRANSIT;
	cut(m, s, base, end - base);
	ret = release(m, base, m->ops->unused);
	if (ret > 0)
		m->counts.nr_scavenge++;
	return ret;
}

u64 model_scavenge_bytes(struct model *m, u64 bytes, bool (*stop)(void *ctx))
{
	u64 s, next, npages = NONE, base = NONE, released = 0;
	s64 ret;

	while (released < bytes && !(stop && stop(m->ctx))) {
		m->nr_recent = 0;
		/* The largest by (npages, base) below the last one. */
		for (s = 0, next = NONE; s < m->grown; s = span_end(m, s)) {
			if (!is_free_kind(m, s, false) || m->at[s].npages > npages ||
			    (m->at[s].npages == npages && s >= base))
				continue;
			if (next == NONE || m->at[s].npages >= m->at[next].npages)
				next = s;
		}
		/* What is smaller than a granule has nothing to release. */
		if (next == NONE || m->at[next].npages * page_size(m) < granule(m))
			break;
		npages = m->at[next].npages;
		base = next;
		ret = model_scavenge(m, next);
		if (ret > 0)
			released += ret;
	}
	return released;
}

u64 model_scavenge_age(struct model *m, u64 now, u64 limit, u64 bytes, bool (*stop)(void *ctx))
{
	u64 s, next, offset, since = 0, base = 0, released = 0;
	s64 ret;

	while (released < bytes && !(stop && stop(m->ctx))) {
		m->nr_recent = 0;
		/* The oldest, and of these the first, behind the last one. */
		for (s = 0, next = NONE; s < m->grown; s = span_end(m, s)) {
			if (!is_free_kind(m, s, false) || !pb(m, s, &offset) ||
			    m->at[s].unusedsince < since ||
			    (m->at[s].unusedsince == since && s < base))
				continue;
			if (next == NONE || m->at[s].unusedsince < m->at[next].unusedsince)
				next = s;
		}
		/* Time may have passed since @now, see pair.h. */
		if (next == NONE || now < m->at[next].unusedsince ||
		    now - m->at[next].unusedsince <= limit)
			break;
		since = m->at[next].unusedsince;
		base = next + 1;
		ret = model_scavenge(m, next);
		if (ret > 0)
			released += ret;
	}
	return released;
}

int model_unscavenge(struct model *m, u64 base, u64 npages, u64 now)
{
	u64 s, begin, end;

	if (!npages || base > m->grown || npages > m->grown - base || !on_granule(m, base) ||
	    !on_granule(m, base + npages))
		return -EINVAL;
	if (m->spares < SPAN_HEAP_SPARES)
		return -ENOMEM;

	m->nr_recent = 0;
	for (s = model_find(m, base); s != NONE && s < base + npages; s = end) {
		end = span_end(m, s);
		if (!is_free_kind(m, s, true))
			continue;
		begin = s > base ? s : base;
		end = end < base + npages ? end : base + npages;
		m->at[s].state = SPAN_TRANSIT;
		cut(m, s, begin, end - begin);
		make_ready(m, begin * page_size(m), (end - begin) * page_size(m));
		m->at[begin].scavenged = false;
		m->at[begin].needzero = true;
		m->at[begin].unusedsince = now;
		m->at[begin].state = SPAN_FREE;
		end = span_end(m, coalesce(m, begin));
	}
	return 0;
}

/* The base of the span that holds a page, or NONE. */
u64 model_find(const struct model *m, u64 page)
{
	u64 s;

	if (page >= m->grown)
		return NONE;
	for (s = 0; span_end(m, s) <= page; s = span_end(m, s))
		;
	return s;
}

/* released(s), and where it begins. */
u64 model_released(const struct model *m, u64 base, u64 *offset)
{
	return is_free_kind(m, base, true) ? pb(m, base, offset) : 0;
}

void model_stats(const struct model *m, struct span_heap_stats *stats)
{
	u64 s, bytes, offset;

	*stats = m->counts;
	for (s = 0; s < m->grown; s = span_end(m, s)) {
		bytes = m->at[s].npages * page_size(m);
		stats->heap_sys += bytes;
		if (m->at[s].state == SPAN_INUSE) {
			stats->heap_inuse += bytes;
			stats->spans_inuse++;
			continue;
		}
		stats->heap_idle += bytes;
		stats->heap_released += model_released(m, s, &offset);
		if (m->at[s].state == SPAN_TRANSIT)
			stats->spans_transit++;
		else if (m->at[s].scavenged)
			stats->spans_scavenged++;
		else
			stats->spans_free++;
	}
}

/* Invariants I3 to I5 and I8; the others cannot be broken here.  NULL if all is well. */
const char *model_check(const struct model *m)
{
	u64 s, before = NONE, offset;

	for (s = 0; s < m->grown; before = s, s = span_end(m, s)) {
		if (!m->at[s].npages)
			return "model: I8: spans do not tile the heap";
		if (!is_free(m, s))
			continue;
		if (m->at[s].scavenged && !pb(m, s, &offset))
			return "model: I5: a scavenged span without a granule";
		if (!is_free(m, before))
			continue;
		if (m->at[before].scavenged == m->at[s].scavenged)
			return "model: I3: neighbours of one kind";
		if (!on_granule(m, s))
			return "model: I4: a boundary inside a granule";
	}
	return s == m->grown ? NULL : "model: I8: the last span does not end with the heap";
}

void model_init(struct model *m, const struct span_heap_config *cfg,
		const struct span_heap_ops *ops, void *ctx)
{
	memset(m, 0, sizeof(*m));
	m->cfg = *cfg;
	m->ops = ops;
	m->ctx = ctx;
	m->pages = cfg->size >> cfg->page_shift;
	/* One more, for a boundary at the end. */
	m->at = calloc(m->pages + 1, sizeof(*m->at));
	if (!m->at)
		abort();
}

void model_destroy(struct model *m)
{
	free(m->at);
	m->at = NULL;
}
