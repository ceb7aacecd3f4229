// SPDX-License-Identifier: MIT
/*
 * The C++ header: arenas that are owned, and containers on spans.
 */
#include <array>
#include <list>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "pagearena.hpp"
#include "tap.h"

namespace {

constexpr std::size_t MiB = 1 << 20;

/* With caches off, the figures are the kernel's to the byte. */
pagearena_options exact(std::uint64_t bytes)
{
	pagearena_options options{};

	options.arena_bytes = bytes;
	options.cache_bytes = PAGEARENA_NO_CACHE;
	options.huge = PAGEARENA_HUGE_NEVER;
	return options;
}

void test_arena()
{
	libpagearena::arena a(exact(64 * MiB));

	ok(a.info().arena_bytes == 64 * MiB, "an arena of the size that was asked for");
	ok(a.fd() >= 0 && pagearena_fd(a.get()) == a.fd(), "its descriptor");

	::pagearena *raw = a.get();
	libpagearena::arena b(std::move(a));

	ok(!a.get() && b.get() == raw, "it moves");
	libpagearena::arena c(exact(16 * MiB));

	c = std::move(b);
	ok(!b.get() && c.get() == raw && c.info().arena_bytes == 64 * MiB, "also by assignment");

	int err = 0;

	try {
		pagearena_options bad{};

		bad.fit = 99;
		libpagearena::arena d(bad);
	} catch (const std::system_error &e) {
		err = e.code().value();
	}
	ok(err == EOPNOTSUPP, "an arena that cannot be: errno as an exception");
}

void test_containers()
{
	libpagearena::arena a(exact(256 * MiB));
	libpagearena::memory_resource spans(a);

	{
		std::pmr::vector<std::uint64_t> v(&spans);

		for (std::uint64_t i = 0; i < 300000; i++)
			v.push_back(i);
		ok(std::accumulate(v.begin(), v.end(), std::uint64_t()) == 44999850000,
		   "a vector grows, and keeps what is in it");
		ok(a.stats().spans_inuse == 1, "it is one span");

		auto p = reinterpret_cast<std::uint64_t>(v.data()) -
			 reinterpret_cast<std::uint64_t>(pagearena_base(a.get()));

		ok(p < 256 * MiB, "in the arena");
	}
	ok(a.stats().heap_inuse == 0, "a vector that is gone is free");
	ok(a.stats().backed > 0 && a.scavenge() > 0 && a.stats().backed == 0,
	   "and its memory goes back");

	{
		std::pmr::unsynchronized_pool_resource pool(&spans);
		std::pmr::map<std::pmr::string, int> m(&pool);
		std::pmr::list<std::array<char, 100>> l(&pool);

		for (int i = 0; i < 3000; i++) {
			m[std::pmr::string("a key that is too long to be inside ") +
			  std::to_string(i).c_str()] = i;
			l.push_back({ char(i) });
		}
		bool good = m.size() == 3000;

		for (auto &[key, value] : m)
			good = good && key.size() > 30 &&
			       std::stoi(std::string(key.substr(36))) == value;
		ok(good, "a map of strings in a pool");
		ok(a.stats().spans_inuse < 300, "many small blocks are few spans");
	}
	ok(a.stats().heap_inuse == 0, "the pool gave all of it back");
}

void test_limits()
{
	libpagearena::arena a(exact(16 * MiB)), other(exact(16 * MiB));
	libpagearena::memory_resource spans(a), same(a.get()), foreign(other);
	bool thrown = false;

	try {
		(void)spans.allocate(17 * MiB);
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	ok(thrown, "more than there is: std::bad_alloc");
	ok(spans == same && spans != foreign && spans != *std::pmr::new_delete_resource(),
	   "equal is who has the same arena");

	bool good = true;

	for (std::size_t align = 1; align <= 2 * MiB; align *= 2) {
		void *p = spans.allocate(100, align);

		good = good && !(reinterpret_cast<std::uintptr_t>(p) % align);
		spans.deallocate(p, 100, align);
	}
	ok(good, "alignments up to the huge size");
	thrown = false;
	try {
		(void)spans.allocate(1, std::size_t(1) << 40);
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	ok(thrown, "an alignment beyond: std::bad_alloc");

	void *p = spans.allocate(0);

	ok(p, "no bytes have an address, too");
	spans.deallocate(p, 0);
	ok(a.stats().heap_inuse == 0, "nothing is left");
}

void test_threads()
{
	libpagearena::arena a(256 * MiB);
	libpagearena::memory_resource spans(a);

	{
		std::pmr::synchronized_pool_resource pool(&spans);
		std::array<std::uint64_t, 4> sums{};
		std::vector<std::thread> threads;

		for (std::size_t t = 0; t < sums.size(); t++)
			threads.emplace_back([&, t] {
				for (int round = 0; round < 20; round++) {
					std::pmr::vector<std::uint64_t> big(20000, t, &spans);
					std::pmr::list<std::uint64_t> small(100, t, &pool);

					sums[t] += big.back() + small.back();
				}
			});
		for (auto &t : threads)
			t.join();
		ok(sums == std::array<std::uint64_t, 4>{ 0, 40, 80, 120 },
		   "threads share an arena and a pool");
	}
	ok(a.stats().heap_inuse == 0, "their memory is free, or in caches");
}

} /* namespace */

int main()
{
	{
		struct pagearena *a = pagearena_open(nullptr);

		if (!a)
			return skip_all("no /dev/pagearena");
		pagearena_close(a);
	}
	printf("TAP version 13\n");
	test_arena();
	test_containers();
	test_limits();
	test_threads();
	return tap_done();
}
