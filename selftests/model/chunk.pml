/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The protocol of one chunk: fault, release, promotion, demotion, the shrinker and teardown, as
 * kmod/ has them.  Every step names the function that it stands for.  run.sh checks it with spin:
 *
 *  - no page is mapped after its release, and none freed while it is mapped, or in a TLB;
 *  - what was written is read until the span is freed, be it written by a processor or by a
 *    device; what ALLOC calls zero is zero; nobody ever sees what others have left in a page;
 *  - nobody waits for ever, the shrinker entered from an allocation included; that is spin's own
 *    check for invalid end states;
 *  - nothing is leaked, or used after it was freed: folios, struct pa_chunk, the arena.
 *
 * The chunk has two pages, and each page is a span.  A huge folio has both pages.  One process
 * maps the arena; it has two threads, each on a processor with a TLB of its own, and each uses
 * one page.
 *
 * What is one step here is what nobody else can come in between of: what is done under the heap
 * lock, under a page-table lock, or to what nobody else knows of.  The heap is no more than the
 * state of each span; its inner life has tests of its own.
 *
 * -DMUTATE=n removes one of the things that the protocol rests on; run.sh has the list.  Each
 * must make spin find an error, or else the model does not check what it seems to.
 *
 * -DUSERS, SCAVENGER, PROMOTER, SHRINKER, PINNER, ZAPPER (0 or 1, users 1 or 2): who takes part.
 * -DZEROING: ALLOC may ask for zero.  -DSMALL_FOLIOS, CHUNKS: how many there are at most.
 */
#ifndef MUTATE
#define MUTATE		0
#endif
#ifndef USERS
#define USERS		2
#endif
#ifndef SCAVENGER
#define SCAVENGER	1
#endif
#ifndef PROMOTER
#define PROMOTER	1
#endif
#ifndef SHRINKER
#define SHRINKER	1
#endif
#ifndef PINNER
#define PINNER		1
#endif
#ifndef ZAPPER
#define ZAPPER		1
#endif
#ifndef ZEROING
#define ZEROING		1
#endif
#ifndef SMALL_FOLIOS
#define SMALL_FOLIOS	3
#endif
#ifndef CHUNKS
#define CHUNKS		2
#endif

/* Folios: 1 to SMALL_FOLIOS have one page, HUGE_FOLIO has two.  0: none. */
#define HUGE_FOLIO	(SMALL_FOLIOS + 1)
#define FOLIOS		(SMALL_FOLIOS + 2)

/* What a page holds: ZERO, what was written (1 and 2 in turn), or what somebody else left. */
#define ZERO		0
#define FOREIGN		3
/* What its user expects: any of these, or ANY. */
#define ANY		4

/* Spans.  SCAVENGED is also what the heap has not grown to yet. */
#define SCAVENGED	0
#define FREE		1
#define INUSE		2
#define TRANSIT		3

/* enum pa_chunk_state */
#define EMPTY		0
#define SMALL		1
#define HUGE		2
#define DEAD		3

byte ref[FOLIOS];		/* folio_ref_count() */
bit folio_lock[FOLIOS];
byte contents[FOLIOS + 1];	/* the second page of the huge folio is behind it */
#define PAGE(f, i)	contents[(f) + ((f) == HUGE_FOLIO -> (i) : 0)]

byte pte[2];			/* a page table; each entry holds a reference */
byte tlb[2];			/* of the thread that uses the page */

byte span[2];
byte expect[2];			/* what a read must find; ANY if the span is not allocated */
#define NEXT(i)		(expect[i] == 1 -> 2 : 1)

/* struct pa_chunk: two, as one may be dead but still referred to.  0: none. */
byte xa;			/* arena->chunks */
byte chunk_ref[3];
bit chunk_lock[3];
byte state[3];
byte pages[6];			/* what is behind the chunk: present, and by which folio */
bit item[3];			/* the shrinker can find it */
#define BACKED(c, i)	pages[2 * (c) + (i)]
#define NR_PRESENT(c)	(BACKED(c, 0) || BACKED(c, 1))
#define HELD(i)		(xa -> BACKED(xa, i) : 0)

byte pins;			/* arena->reclaim_pins */
byte users;			/* threads that use the arena */
byte workers;			/* the background, and calls of others */
bit closing, arena_gone;

/* The pin of the device, and whether what it writes still belongs to the span it was made in. */
byte pin, pin_page;
bit pin_valid;
bit pinner_done;

/* Direct reclaim: the shrinker does a round while the caller waits. */
chan enter = [0] of { bit };
chan leave = [0] of { bit };

#if SHRINKER
inline may_reclaim()
{
	if
	:: skip
	:: enter!1 -> leave?1
	fi
}
#else
inline may_reclaim()
{
	skip
}
#endif

/* Folios.  These are used within a step. */

inline folio_put(f)
{
	assert(ref[f] > 0);
	ref[f]--;
	if
	:: ref[f] == 0 ->
		/* None freed while it is mapped. */
		assert(pte[0] != f && pte[1] != f && tlb[0] != f && tlb[1] != f);
		assert(!folio_lock[f]);
		contents[f] = FOREIGN;
		if
		:: f == HUGE_FOLIO -> contents[f + 1] = FOREIGN
		:: else
		fi
	:: else
	fi
}

/* Always the lowest: it is the one that was freed, so that mistakes show. */
inline find_small(f)
{
	f = 1;
	do
	:: f <= SMALL_FOLIOS && ref[f] -> f++
	:: else -> break
	od;
	if
	:: f > SMALL_FOLIOS -> f = 0
	:: else -> ref[f] = 1
	fi
}

/* pa_folio_alloc(); any allocation can fail. */
inline small_alloc(f, zero)
{
	atomic {
		if
		:: f = 0
		:: find_small(f);
			if
			:: f && (zero) && MUTATE != 18 -> contents[f] = ZERO
			:: else
			fi
		fi
	}
}

inline huge_alloc(f, zero)
{
	atomic {
		if
		:: f = 0
		:: !ref[HUGE_FOLIO] ->
			f = HUGE_FOLIO;
			ref[f] = 1;
			if
			:: zero -> contents[f] = ZERO; contents[f + 1] = ZERO
			:: else
			fi
		fi
	}
}

/* pa_list_put(), pa_small_free() */
inline list_put(d0, d1)
{
	if
	:: d0 -> folio_put(d0); d0 = 0
	:: else
	fi;
	if
	:: d1 -> folio_put(d1); d1 = 0
	:: else
	fi
}

/* pa_folio_settle(), of two */
inline settle(f, g)
{
	(!(f) || !folio_lock[f]) && (!(g) || !folio_lock[g])
}

/*
 * pa_zap(): unmap_mapping_range().  One page-table lock covers both entries.  Then the TLBs are
 * flushed, and then the references dropped.  Where two do that at a time, the core sees to it
 * that both flush (tlb_finish_mmu()).
 */
inline zap(first, second, z0, z1)
{
	d_step {
		if
		:: first -> z0 = pte[0]; pte[0] = 0
		:: else
		fi;
		if
		:: second -> z1 = pte[1]; pte[1] = 0
		:: else
		fi
	}
	d_step {
		if
		:: first -> tlb[0] = 0
		:: else
		fi;
		if
		:: second -> tlb[1] = 0
		:: else
		fi;
		list_put(z0, z1)
	}
}

/* Chunks */

inline chunk_put(c)
{
	assert(chunk_ref[c] > 0);
	chunk_ref[c]--;
	if
	:: !chunk_ref[c] -> assert(!item[c] && xa != c && !chunk_lock[c]); state[c] = EMPTY
	:: else
	fi
}

/*
 * pa_chunk_get(), and mutex_lock(); c is 0 if there is none.  A reference is taken whether the
 * lock is held or not; who must wait for it gives way to others there.
 */
inline chunk_get_lock(c)
{
	atomic {
		c = xa;
		if
		:: c ->
			assert(chunk_ref[c]);
			chunk_ref[c]++;
			!chunk_lock[c];
			chunk_lock[c] = 1
		:: else
		fi
	}
}

/* pa_chunk_create(): c is locked, and not DEAD; 0 if out of memory. */
inline chunk_create_lock(c)
{
	may_reclaim();
	do
	:: atomic {
		if
		:: xa -> c = xa; chunk_ref[c]++
		:: !xa && !chunk_ref[1] -> c = 1; chunk_ref[1] = 2; xa = 1
		:: !xa && CHUNKS > 1 && chunk_ref[1] && !chunk_ref[2] -> c = 2; chunk_ref[2] = 2; xa = 2
		:: !xa -> c = 0; break
		fi;
		!chunk_lock[c];
		chunk_lock[c] = 1;
		if
		:: state[c] != DEAD || MUTATE == 13 -> break
		:: else -> chunk_lock[c] = 0; chunk_put(c); c = 0
		fi
	   }
	od
}

/* pa_chunk_unlock_put(): an empty chunk leaves the arena. */
inline chunk_unlock_put(c)
{
	d_step {
		assert(chunk_lock[c]);
		if
		:: !NR_PRESENT(c) && state[c] != DEAD ->
			/* pa_item_detach() */
			if
			:: MUTATE != 16 -> item[c] = 0
			:: else
			fi;
			xa = 0;
			state[c] = DEAD;
			chunk_lock[c] = 0;
			chunk_put(c);
		:: else -> chunk_lock[c] = 0
		fi;
		chunk_put(c);
		c = 0
	}
}

/* What pa_chunk_live() says of the whole chunk. */
#define IN_TRANSIT	(span[0] == TRANSIT || span[1] == TRANSIT)

/* pa_chunk_unscavenge(), within a step */
inline unscavenge()
{
	if
	:: span[0] == SCAVENGED -> span[0] = FREE
	:: else
	fi;
	if
	:: span[1] == SCAVENGED -> span[1] = FREE
	:: else
	fi
}

/* pa_chunk_set_huge(), within a step */
inline set_huge(c, f)
{
	BACKED(c, 0) = f;
	BACKED(c, 1) = f;
	state[c] = HUGE;
	item[c] = 1
}

/*
 * pa_chunk_fill(): ok tells whether the page is backed.  pa_chunk_begin_anew() is left out: it is
 * promotion, under the same lock.  Where a huge folio cannot be had the touch fails here, and is
 * tried again: the policy (the choice between the last two) may say "small" then.
 */
inline chunk_fill(c, i, f, ok)
{
	ok = 0;
	if
	:: span[i] != INUSE && MUTATE != 3
	:: (span[i] == INUSE || MUTATE == 3) && BACKED(c, i) -> ok = 1
	:: (span[i] == INUSE || MUTATE == 3) && state[c] == EMPTY && !IN_TRANSIT ->
		/* pa_chunk_fill_huge() */
		may_reclaim();
		huge_alloc(f, 1);
		d_step {
			if
			:: f && (!IN_TRANSIT || MUTATE == 8) ->
				unscavenge();
				set_huge(c, f);
				ok = 1
			:: f && IN_TRANSIT && MUTATE != 8 -> folio_put(f)
			:: !f
			fi;
			f = 0
		}
	:: (span[i] == INUSE || MUTATE == 3) && !BACKED(c, i) ->
		may_reclaim();
		small_alloc(f, 1);
		d_step {
			if
			:: f && (span[i] == INUSE || MUTATE == 3) ->
				state[c] = SMALL;
				BACKED(c, i) = f;
				item[c] = 1;
				ok = 1
			:: f && span[i] != INUSE && MUTATE != 3 -> folio_put(f)
			:: !f
			fi;
			f = 0
		}
	fi
}

/* pa_chunk_demote(): ok tells whether it came to its end. */
inline chunk_demote(c, reclaim, s0, s1, z0, z1, live0, live1, ok)
{
	ok = 0;
	if
	:: reclaim && folio_lock[HUGE_FOLIO] && MUTATE != 12
	:: !reclaim || !folio_lock[HUGE_FOLIO] || MUTATE == 12 ->
		settle(HUGE_FOLIO, HUGE_FOLIO);
		if
		:: MUTATE == 10
		:: else -> zap(1, 1, z0, z1)
		fi;
		if
		:: ref[HUGE_FOLIO] != 1 && MUTATE != 9 && MUTATE != 10
		:: ref[HUGE_FOLIO] == 1 || MUTATE == 9 || MUTATE == 10 ->
			d_step { live0 = span[0] == INUSE; live1 = span[1] == INUSE }
			atomic {
				ok = 1;
				if
				:: live0 ->
					small_alloc(s0, 0);
					if
					:: s0 -> PAGE(s0, 0) = PAGE(HUGE_FOLIO, 0)
					:: else -> ok = 0
					fi
				:: else
				fi;
				if
				:: live1 && ok ->
					small_alloc(s1, 0);
					if
					:: s1 -> PAGE(s1, 1) = PAGE(HUGE_FOLIO, 1)
					:: else -> ok = 0
					fi
				:: else
				fi
			}
			if
			:: MUTATE == 10 -> zap(1, 1, z0, z1)
			:: else
			fi;
			d_step {
				if
				:: ok ->
					BACKED(c, 0) = s0;
					BACKED(c, 1) = s1;
					s0 = 0;
					s1 = 0;
					state[c] = SMALL;
					folio_put(HUGE_FOLIO)
				:: else -> list_put(s0, s1)
				fi;
				live0 = 0;
				live1 = 0
			}
		fi
	fi
}

/* pa_chunk_detach(): what was behind the pages is in d0 and d1 then. */
inline chunk_detach(c, first, second, d0, d1)
{
	d_step {
		if
		:: state[c] == HUGE ->
			/* "Nothing of the range is allocated, so no chunk of it has become huge." */
			assert(first && second);
			d0 = HUGE_FOLIO;
			BACKED(c, 0) = 0;
			BACKED(c, 1) = 0;
			state[c] = EMPTY
		:: else ->
			if
			:: first -> d0 = BACKED(c, 0); BACKED(c, 0) = 0
			:: else
			fi;
			if
			:: second -> d1 = BACKED(c, 1); BACKED(c, 1) = 0
			:: else
			fi
		fi
	}
}

/* A thread that allocates page i, uses it, and frees it; and strays onto it when it is free. */
proctype user(byte i)
{
	byte c, f;
	bit ok, fresh;

	do
	:: /* pa_step_alloc() */
	   atomic {
		(span[i] == FREE || span[i] == SCAVENGED) ->
		/* What is there already may hold anything. */
		fresh = !HELD(i) || MUTATE == 21;
		span[i] = INUSE;
		expect[i] = (fresh -> ZERO : ANY)
	   }
	   if
	   :: fresh -> fresh = 0
	   :: !fresh
	   :: !fresh && ZEROING ->
		/* PAGEARENA_ALLOC_ZERO: pa_backing_zero() */
		chunk_get_lock(c);
		if
		:: c ->
			if
			:: state[c] != DEAD && BACKED(c, i) -> PAGE(BACKED(c, i), i) = ZERO
			:: else
			fi;
			chunk_unlock_put(c)
		:: else
		fi;
		expect[i] = ZERO
	   fi
	:: /* pa_step_free() */
	   d_step {
		span[i] == INUSE ->
		span[i] = FREE;
		expect[i] = ANY;
		if
		:: pin && pin_page == i -> pin_valid = 0
		:: else
		fi
	   }
	:: true ->
		/* A load or a store; one that strays does no more than load. */
		atomic {
			if
			:: !tlb[i] -> tlb[i] = pte[i]
			:: else
			fi;
			if
			:: tlb[i] && span[i] == INUSE ->
				assert(ref[tlb[i]]);
				expect[i] = NEXT(i);
				PAGE(tlb[i], i) = expect[i]
			:: tlb[i] ->
				assert(ref[tlb[i]] && PAGE(tlb[i], i) != FOREIGN);
				assert(span[i] != INUSE || expect[i] == ANY ||
				       expect[i] == PAGE(tlb[i], i))
			:: !tlb[i] && span[i] == INUSE -> goto fault
			:: !tlb[i] && span[i] != INUSE	/* SIGSEGV */
			fi
		}
		goto next;
fault:		/* pa_fault() */
		chunk_create_lock(c);
		if
		:: !c -> goto next	/* SIGBUS */
		:: else
		fi;
		chunk_fill(c, i, f, ok);
		if
		:: !ok -> chunk_unlock_put(c); goto next
		:: else -> ok = 0
		fi;
		atomic {
			f = BACKED(c, i);
			ref[f]++;
			if
			:: MUTATE != 2 && MUTATE != 17 -> !folio_lock[f]; folio_lock[f] = 1
			:: else
			fi
		}
		chunk_unlock_put(c);
		if
		:: MUTATE == 17 -> atomic { !folio_lock[f]; folio_lock[f] = 1 }
		:: else
		fi;
		/* The core: finish_fault(), which may allocate a page table. */
		may_reclaim();
		atomic {
			folio_lock[f] = 0;
			if
			:: !pte[i] ->
				/* No page is mapped after its release. */
				assert(HELD(i) == f || span[i] == TRANSIT);
				pte[i] = f;
				if
				:: f == HUGE_FOLIO && !pte[1 - i] ->
					/* By a PMD, or so we say. */
					pte[1 - i] = f;
					ref[f]++
				:: true
				fi
			:: else -> folio_put(f)
			fi;
			f = 0
		}
next:		skip
	:: true -> break
	od;
	atomic { tlb[i] = 0; users-- }
}

/* SCAVENGE, or the background: pa_backing_release() */
proctype scavenger()
{
	byte c, d0, d1, s0, s1, z0, z1;
	bit first, second, live0, live1, ok;

	do
	:: closing -> break
	:: /* span_heap_scavenge(): out of the trees, the lock is dropped */
	   atomic {
		if
		:: span[0] == FREE -> first = 1
		:: span[1] == FREE -> second = 1
		:: span[0] == FREE && span[1] == FREE -> first = 1; second = 1
		fi;
		if
		:: MUTATE == 20
		:: else ->
			if
			:: first -> span[0] = TRANSIT
			:: else
			fi;
			if
			:: second -> span[1] = TRANSIT
			:: else
			fi
		fi;
		ok = 1
	   }
	   if
	   :: first && second
	   :: else ->
		/* pa_release_edge() */
		chunk_get_lock(c);
		if
		:: c && state[c] == HUGE ->
			may_reclaim();
			chunk_demote(c, 0, s0, s1, z0, z1, live0, live1, ok)
		:: else
		fi;
		if
		:: c -> chunk_unlock_put(c)
		:: else
		fi
	   fi;
	   if
	   :: ok ->
		atomic {
			chunk_get_lock(c);
			if
			:: c ->
				if
				:: state[c] != DEAD ->
					chunk_detach(c, first, second, d0, d1);
					if
					:: MUTATE == 1
					:: else -> settle(d0, d1)
					fi
				:: else
				fi;
				chunk_unlock_put(c)
			:: else
			fi
		}
		if
		:: (d0 || d1) && MUTATE != 4 -> zap(first, second, z0, z1)
		:: else
		fi
	   :: else
	   fi;
	   d_step {
		list_put(d0, d1);
		/* Back under the heap lock. */
		if
		:: first && ok && MUTATE != 20 ->
			/* No page is mapped after its release. */
			assert(!HELD(0) && !pte[0] && !tlb[0]);
			span[0] = SCAVENGED
		:: first && !ok -> span[0] = FREE
		:: else
		fi;
		if
		:: second && ok && MUTATE != 20 ->
			assert(!HELD(1) && !pte[1] && !tlb[1]);
			span[1] = SCAVENGED
		:: second && !ok -> span[1] = FREE
		:: else
		fi;
		first = 0;
		second = 0;
		ok = 0
	   }
	od;
	workers--
}

/* PROMOTE, or the background: pa_chunk_promote(), pa_promote_small() */
proctype promoter()
{
	byte c, f, old0, old1, z0, z1;
	bit live0, live1;

	do
	:: closing -> break
	:: xa ->
		atomic {
			chunk_get_lock(c);
			if
			:: !c -> goto next
			/* pa_promote_check() */
			:: c && (state[c] != SMALL || (IN_TRANSIT && MUTATE != 8)) -> goto unlock
			:: c && state[c] == SMALL && (!IN_TRANSIT || MUTATE == 8)
			fi
		}
		may_reclaim();
		huge_alloc(f, 0);
		if
		:: !f -> goto unlock
		:: else
		fi;
		if
		:: MUTATE == 7 -> d_step { live0 = span[0] == INUSE; live1 = span[1] == INUSE }
		:: else
		fi;
		settle(BACKED(c, 0), BACKED(c, 1));
		if
		:: MUTATE == 5
		:: else -> zap(1, 1, z0, z1)
		fi;
		/* pa_small_alone() */
		if
		:: MUTATE != 5 && MUTATE != 6 &&
		   ((BACKED(c, 0) && ref[BACKED(c, 0)] != 1) ||
		    (BACKED(c, 1) && ref[BACKED(c, 1)] != 1)) ->
			d_step { folio_put(f); f = 0 }
			goto unlock
		:: else
		fi;
		if
		:: MUTATE == 7
		:: else -> d_step { live0 = span[0] == INUSE; live1 = span[1] == INUSE }
		fi;
		d_step {
			if
			:: live0 && BACKED(c, 0) -> PAGE(f, 0) = PAGE(BACKED(c, 0), 0)
			:: (!live0 || !BACKED(c, 0)) && MUTATE != 22 -> PAGE(f, 0) = ZERO
			:: else
			fi;
			if
			:: live1 && BACKED(c, 1) -> PAGE(f, 1) = PAGE(BACKED(c, 1), 1)
			:: (!live1 || !BACKED(c, 1)) && MUTATE != 22 -> PAGE(f, 1) = ZERO
			:: else
			fi
		}
		if
		:: MUTATE == 5 -> zap(1, 1, z0, z1)
		:: else
		fi;
		d_step {
			if
			/* "One on its way out must not find a huge folio." */
			:: IN_TRANSIT && MUTATE != 8 -> folio_put(f)
			:: else ->
				unscavenge();
				old0 = BACKED(c, 0);
				old1 = BACKED(c, 1);
				set_huge(c, f);
				list_put(old0, old1)
			fi;
			f = 0
		}
unlock:		live0 = 0;
		live1 = 0;
		chunk_unlock_put(c);
next:		skip
	od;
	workers--
}

/* pa_chunk_reclaimable(): free pages of a small chunk, all of a huge one, or one that is sparse */
#define RECLAIMABLE(c)	((BACKED(c, 0) && span[0] == FREE) || (BACKED(c, 1) && span[1] == FREE))

/* pa_reclaim_one(): kswapd's, or entered from an allocation */
proctype shrinker()
{
	byte c, d0, d1, s0, s1, z0, z1;
	bit first, second, live0, live1, ok, direct;

end:	do
	:: enter?1 -> direct = 1; goto round
	:: true ->
round:		/* pa_isolate(), under the list's lock; it tries the chunk's lock */
		if
		:: MUTATE == 11 ->
			if
			:: item[1] && RECLAIMABLE(1) -> c = 1
			:: item[2] && RECLAIMABLE(2) -> c = 2
			:: else
			fi;
			if
			:: c -> atomic { !chunk_lock[c] -> chunk_lock[c] = 1; chunk_ref[c]++; pins++ }
			:: else
			fi
		:: else ->
			atomic {
				if
				:: item[1] && !chunk_lock[1] && RECLAIMABLE(1) -> c = 1
				:: item[2] && !chunk_lock[2] && RECLAIMABLE(2) -> c = 2
				:: true
				fi;
				if
				:: c ->
					assert(chunk_ref[c] && !arena_gone);
					chunk_lock[c] = 1;
					chunk_ref[c]++;
					pins++
				:: else
				fi
			}
		fi;
		if
		:: !c -> goto done
		:: else
		fi;
		/* pa_scavenge_locked(): break a sparse huge folio */
		if
		:: state[c] == HUGE && (span[0] == INUSE || span[1] == INUSE) ->
			chunk_demote(c, 1, s0, s1, z0, z1, live0, live1, ok)
		:: true
		fi;
		/* pa_scavenge_spans() */
		assert(!arena_gone);
		atomic {
			ok = 0;
			if
			:: span[0] == FREE -> span[0] = TRANSIT; first = 1
			:: span[1] == FREE -> span[1] = TRANSIT; second = 1
			:: span[0] == FREE && span[1] == FREE ->
				span[0] = TRANSIT;
				span[1] = TRANSIT;
				first = 1;
				second = 1
			:: true
			fi
		}
		if
		:: first || second ->
			/* pa_chunk_take() */
			if
			:: state[c] == HUGE && !(first && second)
			:: MUTATE != 12 && MUTATE != 19 &&
			   ((first && BACKED(c, 0) && folio_lock[BACKED(c, 0)]) ||
			    (second && BACKED(c, 1) && folio_lock[BACKED(c, 1)]))
			:: else ->
				if
				:: MUTATE == 12 -> settle(BACKED(c, 0), BACKED(c, 1))
				:: else
				fi;
				ok = 1;
				chunk_detach(c, first, second, d0, d1);
				if
				:: d0 || d1 -> zap(first, second, z0, z1)
				:: else
				fi
			fi;
			d_step {
				list_put(d0, d1);
				if
				:: first && ok ->
					assert(!HELD(0) && !pte[0] && !tlb[0]);
					span[0] = SCAVENGED
				:: first && !ok -> span[0] = FREE
				:: else
				fi;
				if
				:: second && ok ->
					assert(!HELD(1) && !pte[1] && !tlb[1]);
					span[1] = SCAVENGED
				:: second && !ok -> span[1] = FREE
				:: else
				fi;
				first = 0;
				second = 0
			}
		:: else
		fi;
		ok = 0;
		/* pa_reclaim_chunk() */
		assert(!arena_gone);
		chunk_unlock_put(c);
		assert(!arena_gone);
		pins--;
done:		if
		:: direct -> direct = 0; leave!1
		:: else
		fi
	od
}

/* A device that writes through get_user_pages(), by the page table or without its lock (fast). */
proctype pinner()
{
	byte f, i;

	do
	:: users ->
		if
		:: i = 0
		:: USERS > 1 -> i = 1
		fi;
		if
		:: d_step { pte[i] -> f = pte[i]; ref[f]++ }
		:: d_step { pte[i] -> f = pte[i] }
			/* The page table may change here.  folio_try_get(), and a second look. */
			atomic {
				if
				:: ref[f] -> ref[f]++
				:: else -> f = 0
				fi
			}
			atomic {
				if
				:: f && pte[i] != f -> folio_put(f); f = 0
				:: else
				fi
			}
		:: true
		fi;
		if
		:: f ->
			/* It is for what the span's user has there, if that is still the same. */
			d_step { pin = f; pin_page = i; pin_valid = pte[i] == f && expect[i] != ANY }
			do
			:: true ->
				atomic {
					assert(ref[pin]);
					if
					:: pin_valid -> expect[i] = NEXT(i); PAGE(pin, i) = expect[i]
					:: else
					fi
				}
			:: true -> break
			od;
			f = 0;
			d_step { folio_put(pin); pin = 0; pin_page = 0; pin_valid = 0 }
		:: else
		fi;
		i = 0
	:: true -> break
	od;
	pinner_done = 1
}

/* MADV_DONTNEED by anybody: the core zaps, and knows nothing of the arena. */
proctype zapper()
{
	byte z0, z1;

	do
	:: users -> zap(1, 0, z0, z1)
	:: users -> zap(0, 1, z0, z1)
	:: true -> break
	od;
	workers--
}

init
{
	byte c, z0, z1, f;

	atomic {
		f = 1;
		do
		:: f <= HUGE_FOLIO + 1 -> contents[f] = FOREIGN; f++
		:: else -> break
		od;
		f = 0;
		users = USERS;
		run user(0);
#if USERS > 1
		run user(1);
#endif
#if SCAVENGER
		workers++;
		run scavenger();
#endif
#if PROMOTER
		workers++;
		run promoter();
#endif
#if ZAPPER
		workers++;
		run zapper();
#endif
#if SHRINKER
		run shrinker();
#endif
#if PINNER
		run pinner();
#else
		pinner_done = 1;
#endif
	}
	/* The last munmap(), and the last fput(): pa_release(), pa_arena_destroy() */
	!users;
	zap(1, 1, z0, z1);
	closing = 1;
	!workers;
	/* pa_backing_forget() */
	if
	:: MUTATE == 15
	:: else ->
		chunk_get_lock(c);
		if
		:: c ->
			item[c] = 0;
			chunk_unlock_put(c)
		:: else
		fi
	fi;
	/* pa_reclaim_stop() */
	if
	:: MUTATE == 14
	:: else -> !pins
	fi;
	/* pa_backing_destroy() */
	atomic {
		c = xa;
		if
		:: c ->
			z0 = BACKED(c, 0);
			z1 = (state[c] == HUGE -> 0 : BACKED(c, 1));
			BACKED(c, 0) = 0;
			BACKED(c, 1) = 0;
			xa = 0;
			list_put(z0, z1);
			chunk_put(c)
		:: else
		fi;
		c = 0;
		arena_gone = 1
	}
	pinner_done;
	/* Nothing is left. */
	assert(!chunk_ref[1] && !chunk_ref[2]);
	f = 1;
	do
	:: f <= HUGE_FOLIO -> assert(!ref[f]); f++
	:: else -> break
	od
}
