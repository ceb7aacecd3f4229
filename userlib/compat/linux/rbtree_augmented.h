/* SPDX-License-Identifier: MIT */
/* Trees whose nodes hold something about their subtree: see <linux/rbtree.h> here. */
#ifndef COMPAT_LINUX_RBTREE_AUGMENTED_H
#define COMPAT_LINUX_RBTREE_AUGMENTED_H

#include <linux/rbtree.h>

static inline void rb_insert_augmented(struct rb_node *node, struct rb_root *root,
				       const struct rb_augment_callbacks *augment)
{
	compat_rb_insert(node, root, augment);
}

static inline void rb_erase_augmented(struct rb_node *node, struct rb_root *root,
				      const struct rb_augment_callbacks *augment)
{
	compat_rb_erase(node, root, augment);
}

/*
 * Callbacks for a field that compute(entry, exit) derives from the entry and its children.
 * With exit set it returns true if the field was right already, and false otherwise.
 */
#define RB_DECLARE_CALLBACKS(qualifier, name, type, member, field, compute)		\
static inline void name##_copy(struct rb_node *old, struct rb_node *new)		\
{											\
	type *from = rb_entry(old, type, member), *to = rb_entry(new, type, member);	\
											\
	to->field = from->field;							\
}											\
static void name##_rotate(struct rb_node *old, struct rb_node *new)			\
{											\
	name##_copy(old, new);								\
	(compute)(rb_entry(old, type, member), false);					\
}											\
static void name##_propagate(struct rb_node *node, struct rb_node *stop);		\
qualifier const struct rb_augment_callbacks name = {					\
	.propagate = name##_propagate,							\
	.copy = name##_copy,								\
	.rotate = name##_rotate,							\
};											\
static void name##_propagate(struct rb_node *node, struct rb_node *stop)		\
{											\
	while (node != stop && !(compute)(rb_entry(node, type, member), true))		\
		node = rb_parent(node);							\
}

#endif /* COMPAT_LINUX_RBTREE_AUGMENTED_H */
