/* SPDX-License-Identifier: MIT */
#ifndef COMPAT_LINUX_STRING_H
#define COMPAT_LINUX_STRING_H

#include <string.h>

#endif /* COMPAT_LINUX_STRING_H */
