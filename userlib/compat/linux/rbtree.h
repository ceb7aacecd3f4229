/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees with the kernel's interface, written anew from the textbook (Cormen et
 * al., Introduction to Algorithms: insertion, deletion and their fixups, with NULL for
 * the black leaves).
 *
 * A treap would be shorter.  It is not, because code with augmented nodes is sensitive to
 * which of the callbacks runs when, and a tree of the kernel's kind runs them the
 * kernel's way: copy and propagate where a node is taken out, rotate for each rotation.
 *
 * rb_entry() counts the nodes that a program looks at in compat_rb_visits, and a rotation
 * counts in compat_rb_rotations: figures by which a test can tell O(log n) from O(n).
 */
#ifndef COMPAT_LINUX_RBTREE_H
#define COMPAT_LINUX_RBTREE_H

#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/types.h>

/* The low bit of the first word is set in a black node; nodes are aligned. */
struct rb_node {
	unsigned long __rb_parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
} __attribute__((aligned(sizeof(long))));

struct rb_root {
	struct rb_node *rb_node;
};

struct rb_augment_callbacks {
	void (*propagate)(struct rb_node *node, struct rb_node *stop);
	void (*copy)(struct rb_node *old, struct rb_node *new);
	void (*rotate)(struct rb_node *old, struct rb_node *new);
};

extern unsigned long compat_rb_visits, compat_rb_rotations;
__attribute__((__weak__)) unsigned long compat_rb_visits, compat_rb_rotations;

#define RB_ROOT			((struct rb_root){ NULL })
#define RB_EMPTY_ROOT(root)	(!READ_ONCE((root)->rb_node))
#define RB_EMPTY_NODE(node)	((node)->__rb_parent_color == (unsigned long)(node))
#define RB_CLEAR_NODE(node)	((node)->__rb_parent_color = (unsigned long)(node))

#define rb_parent(node)		((struct rb_node *)((node)->__rb_parent_color & ~3UL))

static inline const void *compat_rb_visit(const struct rb_node *node)
{
	compat_rb_visits++;
	return node;
}

#define rb_entry(ptr, type, member)	container_of(compat_rb_visit(ptr), type, member)
#define rb_entry_safe(ptr, type, member) ({				\
	__typeof__(ptr) compat_ptr = (ptr);				\
	compat_ptr ? rb_entry(compat_ptr, type, member) : NULL; })

#define COMPAT_RB_BLACK		1UL

static inline bool compat_rb_is_black(const struct rb_node *node)
{
	return !node || node->__rb_parent_color & COMPAT_RB_BLACK;
}

static inline void compat_rb_set_black(struct rb_node *node, bool black)
{
	node->__rb_parent_color &= ~COMPAT_RB_BLACK;
	node->__rb_parent_color |= black ? COMPAT_RB_BLACK : 0;
}

static inline void compat_rb_set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->__rb_parent_color &= COMPAT_RB_BLACK;
	node->__rb_parent_color |= (unsigned long)parent;
}

/* The pointer that points to the node. */
static inline struct rb_node **compat_rb_link(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent = rb_parent(node);

	if (!parent)
		return &root->rb_node;
	return parent->rb_left == node ? &parent->rb_left : &parent->rb_right;
}

/* Rotates a child of a node up into its place: the left one to the right, and vice versa. */
static inline void compat_rb_rotate(struct rb_node *node, struct rb_node *child,
				    struct rb_root *root,
				    const struct rb_augment_callbacks *augment)
{
	bool left = node->rb_left == child;
	struct rb_node **inner = left ? &child->rb_right : &child->rb_left;

	compat_rb_rotations++;
	*compat_rb_link(node, root) = child;
	compat_rb_set_parent(child, rb_parent(node));
	if (left)
		node->rb_left = *inner;
	else
		node->rb_right = *inner;
	if (*inner)
		compat_rb_set_parent(*inner, node);
	*inner = node;
	compat_rb_set_parent(node, child);
	if (augment)
		augment->rotate(node, child);
}

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	node->__rb_parent_color = (unsigned long)parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	*link = node;
}

/* For those who look without a lock. */
static inline void rb_link_node_rcu(struct rb_node *node, struct rb_node *parent,
				    struct rb_node **link)
{
	node->__rb_parent_color = (unsigned long)parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	__atomic_store_n(link, node, __ATOMIC_RELEASE);
}

static __maybe_unused void compat_rb_insert(struct rb_node *node, struct rb_root *root,
					    const struct rb_augment_callbacks *augment)
{
	struct rb_node *parent, *grand, *uncle;
	bool left;

	while ((parent = rb_parent(node)) && !compat_rb_is_black(parent)) {
		/* A red node is not the root. */
		grand = rb_parent(parent);
		left = grand->rb_left == parent;
		uncle = left ? grand->rb_right : grand->rb_left;
		if (!compat_rb_is_black(uncle)) {
			compat_rb_set_black(parent, true);
			compat_rb_set_black(uncle, true);
			compat_rb_set_black(grand, false);
			node = grand;
			continue;
		}
		if (node == (left ? parent->rb_right : parent->rb_left)) {
			compat_rb_rotate(parent, node, root, augment);
			parent = node;
		}
		compat_rb_rotate(grand, parent, root, augment);
		compat_rb_set_black(parent, true);
		compat_rb_set_black(grand, false);
		break;
	}
	compat_rb_set_black(root->rb_node, true);
}

/* One black node is missing on the way to @node, which may be NULL, below @parent. */
static inline void compat_rb_erase_fixup(struct rb_node *node, struct rb_node *parent,
					 struct rb_root *root,
					 const struct rb_augment_callbacks *augment)
{
	struct rb_node *sibling, *near, *far;
	bool left;

	while (parent && compat_rb_is_black(node)) {
		left = parent->rb_left == node;
		sibling = left ? parent->rb_right : parent->rb_left;
		if (!compat_rb_is_black(sibling)) {
			compat_rb_set_black(sibling, true);
			compat_rb_set_black(parent, false);
			compat_rb_rotate(parent, sibling, root, augment);
			sibling = left ? parent->rb_right : parent->rb_left;
		}
		near = left ? sibling->rb_left : sibling->rb_right;
		far = left ? sibling->rb_right : sibling->rb_left;
		if (compat_rb_is_black(near) && compat_rb_is_black(far)) {
			compat_rb_set_black(sibling, false);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (compat_rb_is_black(far)) {
			compat_rb_set_black(near, true);
			compat_rb_set_black(sibling, false);
			compat_rb_rotate(sibling, near, root, augment);
			far = sibling;
			sibling = near;
		}
		compat_rb_set_black(sibling, compat_rb_is_black(parent));
		compat_rb_set_black(parent, true);
		compat_rb_set_black(far, true);
		compat_rb_rotate(parent, sibling, root, augment);
		return;
	}
	if (node)
		compat_rb_set_black(node, true);
}

static __maybe_unused void compat_rb_erase(struct rb_node *node, struct rb_root *root,
					   const struct rb_augment_callbacks *augment)
{
	struct rb_node *next, *child, *parent;
	bool black;

	if (node->rb_left && node->rb_right) {
		/* The next node, which has no left child, takes the place. */
		next = node->rb_right;
		while (next->rb_left)
			next = next->rb_left;
		child = next->rb_right;
		parent = rb_parent(next);
		black = compat_rb_is_black(next);
		if (parent == node) {
			parent = next;
		} else {
			parent->rb_left = child;
			if (child)
				compat_rb_set_parent(child, parent);
			next->rb_right = node->rb_right;
			compat_rb_set_parent(next->rb_right, next);
		}
		next->rb_left = node->rb_left;
		compat_rb_set_parent(next->rb_left, next);
		*compat_rb_link(node, root) = next;
		next->__rb_parent_color = node->__rb_parent_color;
		if (augment) {
			augment->copy(node, next);
			if (parent != next)
				augment->propagate(parent, next);
			augment->propagate(next, NULL);
		}
	} else {
		child = node->rb_left ? node->rb_left : node->rb_right;
		parent = rb_parent(node);
		black = compat_rb_is_black(node);
		*compat_rb_link(node, root) = child;
		if (child)
			compat_rb_set_parent(child, parent);
		if (augment)
			augment->propagate(parent, NULL);
	}
	if (black)
		compat_rb_erase_fixup(child, parent, root, augment);
}

static inline void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	compat_rb_insert(node, root, NULL);
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	compat_rb_erase(node, root, NULL);
}

static inline struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->rb_node;

	while (node && node->rb_left)
		node = node->rb_left;
	return node;
}

static inline struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->rb_node;

	while (node && node->rb_right)
		node = node->rb_right;
	return node;
}

static inline struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *up;

	if (RB_EMPTY_NODE(node))
		return NULL;
	if (node->rb_right)
		return rb_first(&(struct rb_root){ node->rb_right });
	while ((up = rb_parent(node)) && up->rb_right == node)
		node = up;
	return up;
}

static inline struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *up;

	if (RB_EMPTY_NODE(node))
		return NULL;
	if (node->rb_left)
		return rb_last(&(struct rb_root){ node->rb_left });
	while ((up = rb_parent(node)) && up->rb_left == node)
		node = up;
	return up;
}

/* The first leaf of a subtree, in the order in which children come before parents. */
static inline struct rb_node *compat_rb_deepest(struct rb_node *node)
{
	while (node->rb_left || node->rb_right)
		node = node->rb_left ? node->rb_left : node->rb_right;
	return node;
}

static inline struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return root->rb_node ? compat_rb_deepest(root->rb_node) : NULL;
}

/* Does not look at the children of @node: they may be gone. */
static inline struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *parent;

	if (!node)
		return NULL;
	parent = rb_parent(node);
	if (parent && parent->rb_left == node && parent->rb_right)
		return compat_rb_deepest(parent->rb_right);
	return parent;
}

static inline void rb_add(struct rb_node *node, struct rb_root *root,
			  bool (*less)(struct rb_node *a, const struct rb_node *b))
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(node, parent) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, root);
}

static inline struct rb_node *rb_find(const void *key, const struct rb_root *root,
				      int (*cmp)(const void *key, const struct rb_node *node))
{
	struct rb_node *node = root->rb_node;
	int c;

	while (node && (c = cmp(key, node)))
		node = c < 0 ? node->rb_left : node->rb_right;
	return node;
}

#endif /* COMPAT_LINUX_RBTREE_H */
