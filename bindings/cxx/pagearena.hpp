/* SPDX-License-Identifier: MIT */
/*
 * pagearena for C++17: an arena that closes itself, and a std::pmr::memory_resource on it.
 *
 *	libpagearena::arena arena(1ULL << 30);
 *	libpagearena::memory_resource spans(arena);
 *	std::pmr::vector<double> big(&spans);
 *
 * Each allocation is a span of its own, of whole span pages (8 KiB by default).  That suits large
 * blocks.  For small ones put the standard library's pools on top, which take their chunks from
 * here:
 *
 *	std::pmr::synchronized_pool_resource pool(&spans);
 *	std::pmr::map<std::pmr::string, int> small(&pool);
 *
 * The header is all there is: link with -lpagearena.
 */
#ifndef PAGEARENA_HPP
#define PAGEARENA_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory_resource>
#include <new>
#include <system_error>
#include <utility>

#include <pagearena.h>

/* "pagearena" itself is a structure of the library. */
namespace libpagearena {

/* Throws what errno says. */
[[noreturn]] inline void throw_errno(const char *what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

/*
 * An arena, owned.  Everything but moving and destroying may be done from any thread.  What it
 * cannot do std::system_error tells, with an errno as pagearena.h describes it.
 */
class arena {
public:
	/* bytes: of address space; 0: the library's default */
	explicit arena(std::uint64_t bytes = 0)
	{
		pagearena_options options{};

		options.size = sizeof(options);
		options.arena_bytes = bytes;
		open(options);
	}

	/* options.size is filled in. */
	explicit arena(pagearena_options options)
	{
		options.size = sizeof(options);
		open(options);
	}

	arena(arena &&other) noexcept
		: arena_(std::exchange(other.arena_, nullptr))
	{
	}

	arena &operator=(arena &&other) noexcept
	{
		if (this != &other) {
			pagearena_close(arena_);
			arena_ = std::exchange(other.arena_, nullptr);
		}
		return *this;
	}

	arena(const arena &) = delete;
	arena &operator=(const arena &) = delete;

	~arena()
	{
		pagearena_close(arena_);
	}

	/* For the functions of pagearena.h; it stays the arena's. */
	::pagearena *get() const noexcept
	{
		return arena_;
	}

	int fd() const noexcept
	{
		return pagearena_fd(arena_);
	}

	/* Gives free memory back.  Returns the bytes of memory that went. */
	std::uint64_t scavenge(std::uint64_t bytes = PAGEARENA_ALL, std::uint64_t min_age_ns = 0)
	{
		std::uint64_t backed = 0;

		if (pagearena_scavenge(arena_, bytes, min_age_ns, nullptr, &backed))
			throw_errno("pagearena_scavenge");
		return backed;
	}

	struct pagearena_stats stats() const
	{
		struct pagearena_stats stats{};

		stats.size = sizeof(stats);
		if (pagearena_stats(arena_, &stats))
			throw_errno("pagearena_stats");
		return stats;
	}

	struct pagearena_info info() const
	{
		struct pagearena_info info{};

		info.size = sizeof(info);
		if (pagearena_info(arena_, &info))
			throw_errno("pagearena_info");
		return info;
	}

private:
	void open(const pagearena_options &options)
	{
		arena_ = pagearena_open(&options);
		if (!arena_)
			throw_errno("pagearena_open");
	}

	::pagearena *arena_ = nullptr;
};

/*
 * Spans of an arena, for containers and pools.  The arena must live longer.  Threads may share it.
 * Two are equal if they are on the same arena.
 *
 * std::bad_alloc says that there is no room, or an alignment above that of the mapping (the huge
 * size, unless the options say otherwise).  To give back what was not allocated here ends the
 * program: the kernel knows.
 */
class memory_resource : public std::pmr::memory_resource {
public:
	explicit memory_resource(arena &arena) noexcept
		: arena_(arena.get())
	{
	}

	/* An arena that was opened in C. */
	explicit memory_resource(::pagearena *arena) noexcept
		: arena_(arena)
	{
	}

protected:
	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		/* A span begins at a span page, of 4 KiB at least. */
		void *p = alignment <= alignof(std::max_align_t) ?
				  pagearena_alloc(arena_, length(bytes), 0) :
				  pagearena_aligned_alloc(arena_, alignment, length(bytes), 0);

		if (!p)
			throw std::bad_alloc();
		return p;
	}

	void do_deallocate(void *p, std::size_t bytes, std::size_t) override
	{
		if (pagearena_free_sized(arena_, p, length(bytes)))
			std::terminate();
	}

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		auto *that = dynamic_cast<const memory_resource *>(&other);

		return that && that->arena_ == arena_;
	}

private:
	/* A container may ask for nothing, and wants a pointer all the same. */
	static std::size_t length(std::size_t bytes) noexcept
	{
		return bytes ? bytes : 1;
	}

	::pagearena *arena_;
};

} /* namespace libpagearena */

#endif /* PAGEARENA_HPP */
