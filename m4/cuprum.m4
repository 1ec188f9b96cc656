dnl Copyright (c) 2026 The cuprum-pump authors
dnl SPDX-License-Identifier: ISC

dnl CUPRUM_TRY_FLAGS(VARIABLE, FLAGS, [PROGRAM])
dnl Append each of FLAGS to VARIABLE with which the compiler compiles and
dnl links PROGRAM (an empty one by default) and has no warning to give.
AC_DEFUN([CUPRUM_TRY_FLAGS], [
AC_LANG_CONFTEST([m4_default([$3], [AC_LANG_PROGRAM()])])
for cuprum_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $cuprum_flag])
    cuprum_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $cuprum_flag"
    AC_LINK_IFELSE([],
        [AC_MSG_RESULT([yes])
         AS_VAR_APPEND([$1], [" $cuprum_flag"])],
        [AC_MSG_RESULT([no])])
    CFLAGS=$cuprum_saved_CFLAGS
done
rm -f conftest.$ac_ext
])

dnl CUPRUM_WARNINGS
dnl Set WARNING_CFLAGS; --enable-werror turns warnings into errors.
AC_DEFUN([CUPRUM_WARNINGS], [
AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
    [], [enable_werror=no])
CUPRUM_TRY_FLAGS([WARNING_CFLAGS],
    [-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes])
AS_IF([test "$enable_werror" != no],
    [AS_VAR_APPEND([WARNING_CFLAGS], [" -Werror"])])
AC_SUBST([WARNING_CFLAGS])
])

dnl CUPRUM_HARDENING
dnl Set HARDENING_CFLAGS and HARDENING_LDFLAGS unless --disable-hardening.
dnl _FORTIFY_SOURCE needs the optimiser, and some distributions' compilers
dnl (or the user's CPPFLAGS) define it already: the program tests for both.
AC_DEFUN([CUPRUM_HARDENING], [
AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--disable-hardening],
        [leave out _FORTIFY_SOURCE, stack protector, PIE and RELRO])],
    [], [enable_hardening=yes])
AS_IF([test "$enable_hardening" != no], [
    CUPRUM_TRY_FLAGS([HARDENING_CFLAGS], [-D_FORTIFY_SOURCE=2],
        [AC_LANG_SOURCE([
#ifndef __OPTIMIZE__
#error "no optimisation"
#endif
#include <string.h>
int main(void) { return 0; }
])])
    CUPRUM_TRY_FLAGS([HARDENING_CFLAGS], [-fstack-protector-strong -fPIE])
    CUPRUM_TRY_FLAGS([HARDENING_LDFLAGS], [-pie -Wl,-z,relro -Wl,-z,now])
])
AC_SUBST([HARDENING_CFLAGS])
AC_SUBST([HARDENING_LDFLAGS])
])

dnl CUPRUM_SANITIZERS
dnl Set SANITIZER_CFLAGS for --enable-sanitizers=LIST.
AC_DEFUN([CUPRUM_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
        [build with these sanitizers @<:@address,undefined@:>@])],
    [], [enable_sanitizers=no])
AS_IF([test "$enable_sanitizers" = yes],
    [enable_sanitizers=address,undefined])
AS_IF([test "$enable_sanitizers" != no], [
    CUPRUM_TRY_FLAGS([SANITIZER_CFLAGS], [-fsanitize=$enable_sanitizers])
    AS_IF([test -z "$SANITIZER_CFLAGS"],
        [AC_MSG_ERROR([$CC does not take -fsanitize=$enable_sanitizers])])
    AS_VAR_APPEND([SANITIZER_CFLAGS],
        [" -fno-sanitize-recover=all -fno-omit-frame-pointer"])
])
AC_SUBST([SANITIZER_CFLAGS])
])

dnl CUPRUM_LIBBSD(FUNCTIONS)
dnl Take libbsd where the C library lacks one of FUNCTIONS: define
dnl HAVE_LIBBSD, set LIBBSD_CFLAGS and LIBBSD_LIBS.
AC_DEFUN([CUPRUM_LIBBSD], [
PKG_PROG_PKG_CONFIG
cuprum_libbsd=no
AC_CHECK_FUNCS([$1], [], [cuprum_libbsd=yes])
AS_IF([test "$cuprum_libbsd" = yes], [
    PKG_CHECK_MODULES([LIBBSD], [libbsd])
    AC_DEFINE([HAVE_LIBBSD], [1], [Define if libbsd is used.])
])
])

dnl CUPRUM_SECCOMP
dnl Take libseccomp where it is, unless --without-seccomp: define
dnl HAVE_SECCOMP, set SECCOMP_CFLAGS and SECCOMP_LIBS. The sanitizers' own
dnl run-time makes system calls that no filter of ours could allow.
AC_DEFUN([CUPRUM_SECCOMP], [
AC_ARG_WITH([seccomp],
    [AS_HELP_STRING([--without-seccomp],
        [leave the system call filter out, even where libseccomp is])],
    [], [with_seccomp=check])
cuprum_seccomp=no
AS_IF([test "$with_seccomp" = check && test "$enable_sanitizers" != no],
    [with_seccomp=no])
AS_IF([test "$with_seccomp" != no], [
    PKG_CHECK_MODULES([SECCOMP], [libseccomp], [
        cuprum_seccomp=yes
        AC_DEFINE([HAVE_SECCOMP], [1], [Define if libseccomp is used.])
    ], [
        AS_IF([test "$with_seccomp" = yes],
            [AC_MSG_ERROR([--with-seccomp: no libseccomp was found])])
    ])
])
])

dnl CUPRUM_PYTHON_DIR
dnl Set pythondir to the directory of modules below $prefix that $PYTHON
dnl searches, and to the usual name where it searches none there. Automake's
dnl own answer is not used because it is wrong on Debian, whose interpreter
dnl reads /usr/local/lib/python3.X/dist-packages and no site-packages.
dnl cuprum_python_note says so where PYTHONPATH will be needed.
AC_DEFUN([CUPRUM_PYTHON_DIR], [
AC_MSG_CHECKING([for the directory of Python modules])
cuprum_prefix=$prefix
AS_IF([test "$cuprum_prefix" = NONE], [cuprum_prefix=$ac_default_prefix])
cuprum_site=`$PYTHON -c 'if True:
    import os, site, sys
    root = os.path.join(os.path.normpath(sys.argv[[1]]), "lib", "")
    found = [[d for d in site.getsitepackages() if d.startswith(root)]]
    print(found[[0]][[len(root):]] if found else "")' "$cuprum_prefix"`
cuprum_python_note=
AS_IF([test -z "$cuprum_site"], [
    cuprum_site=python$PYTHON_VERSION/site-packages
    cuprum_python_note=" (not searched by $PYTHON: set PYTHONPATH)"
])
AC_SUBST([pythondir], ["\${prefix}/lib/$cuprum_site"])
cuprum_python_dir=$cuprum_prefix/lib/$cuprum_site
AC_MSG_RESULT([$cuprum_python_dir])
])
