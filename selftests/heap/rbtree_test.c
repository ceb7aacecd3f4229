// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests the red-black trees of userlib/compat, on which all the tests here stand: random
 * insertions and deletions, each followed by a recount of order, links, colours, black
 * height and an augmented maximum.
 */
#include <linux/kernel.h>
#include <linux/rbtree.h>
#include <linux/rbtree_augmented.h>

#include "tap.h"

#define ITEMS	64
#define STEPS	200000

struct item {
	unsigned int key;
	unsigned int value;
	unsigned int max;
	bool in;
	struct rb_node node;
};

static struct item items[ITEMS];
static u64 rng = 1;

static unsigned int draw(unsigned int n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (rng >> 33) % n;
}

static unsigned int max_of(struct rb_node *node)
{
	return node ? rb_entry(node, struct item, node)->max : 0;
}

static bool item_compute(struct item *item, bool exit)
{
	unsigned int m = max(item->value, max(max_of(item->node.rb_left),
					      max_of(item->node.rb_right)));

	if (exit && item->max == m)
		return true;
	item->max = m;
	return false;
}

RB_DECLARE_CALLBACKS(static, item_cb, struct item, node, max, item_compute)

static bool item_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct item, node)->key < rb_entry(b, struct item, node)->key;
}

static int item_cmp(const void *key, const struct rb_node *node)
{
	unsigned int k = *(const unsigned int *)key;
	unsigned int other = rb_entry(node, struct item, node)->key;

	return k < other ? -1 : k > other;
}

static void insert_augmented(struct item *item, struct rb_root *root)
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item_less(&item->node, parent) ? &parent->rb_left : &parent->rb_right;
	}
	item->max = item->value;
	rb_link_node(&item->node, parent, link);
	item_cb.propagate(parent, NULL);
	rb_insert_augmented(&item->node, root, &item_cb);
}

/* Verifies a subtree; adds its nodes to @count and returns its black height, or -1. */
static int verify(struct rb_node *node, struct rb_node *parent, bool augmented, int *count)
{
	struct item *item;
	unsigned int m;
	int l, r;

	if (!node)
		return 0;
	if (rb_parent(node) != parent)
		return -1;
	if (!compat_rb_is_black(node) && !compat_rb_is_black(parent))
		return -1;
	l = verify(node->rb_left, node, augmented, count);
	r = verify(node->rb_right, node, augmented, count);
	if (l < 0 || l != r)
		return -1;
	item = rb_entry(node, struct item, node);
	m = max(item->value, max(max_of(node->rb_left), max_of(node->rb_right)));
	if (!item->in || (augmented && item->max != m))
		return -1;
	++*count;
	return l + compat_rb_is_black(node);
}

/* Are all items that are in the tree found by walking it, and in order? */
static bool verify_walks(const struct rb_root *root, int in)
{
	struct rb_node *node, *prev = NULL;
	bool seen[ITEMS] = { false };
	struct item *item;
	int n = 0;

	for (node = rb_first(root); node; prev = node, node = rb_next(node), n++)
		if (rb_prev(node) != prev || (prev && !item_less(prev, node)))
			return false;
	if (n != in || rb_last(root) != prev)
		return false;

	for (n = 0, node = rb_first_postorder(root); node; node = rb_next_postorder(node), n++) {
		item = rb_entry(node, struct item, node);
		if ((node->rb_left && !seen[rb_entry(node->rb_left, struct item, node)->key]) ||
		    (node->rb_right && !seen[rb_entry(node->rb_right, struct item, node)->key]))
			return false;
		seen[item->key] = true;
	}
	return n == in;
}

static bool test_random(bool augmented)
{
	struct rb_root root = RB_ROOT;
	int in = 0, count, step;
	struct item *item;
	unsigned int key;

	for (key = 0; key < ITEMS; key++)
		items[key] = (struct item){ .key = key };

	for (step = 0; step < STEPS; step++) {
		item = &items[draw(ITEMS)];
		/* Grows and shrinks in turn, so that it gets full and empty. */
		if (item->in == (step / 128 % 2 == 0) && draw(4))
			continue;
		if (item->in) {
			/* A node's value may have changed by the time it is taken out. */
			if (draw(2))
				item->value = draw(1000);
			if (augmented)
				rb_erase_augmented(&item->node, &root, &item_cb);
			else
				rb_erase(&item->node, &root);
			RB_CLEAR_NODE(&item->node);
			item->in = false;
			in--;
		} else {
			item->value = draw(1000);
			item->in = true;
			if (augmented)
				insert_augmented(item, &root);
			else
				rb_add(&item->node, &root, item_less);
			in++;
		}

		count = 0;
		if (!compat_rb_is_black(root.rb_node) ||
		    verify(root.rb_node, NULL, augmented, &count) < 0 || count != in ||
		    !verify_walks(&root, in)) {
			printf("# step %d, item %u\n", step, item->key);
			return false;
		}
		key = draw(ITEMS);
		if (rb_find(&key, &root, item_cmp) != (items[key].in ? &items[key].node : NULL)) {
			printf("# step %d, rb_find(%u)\n", step, key);
			return false;
		}
	}
	return true;
}

int main(void)
{
	tap_plan(2);
	tap_ok(test_random(false), "rbtree: plain");
	tap_ok(test_random(true), "rbtree: augmented");
	return tap_status();
}
