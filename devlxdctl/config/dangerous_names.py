"""Environment variables that change how programs run.

A name is in these lists if a common program loads or runs other code because of it, or if sudo or glibc
remove it from the environment of privileged programs. Variables that are only data, such as `LANG`, `TZ`,
`USER` or `HTTPS_PROXY`, are not in them. Where a program gives a meaning to all names with one beginning, the
beginning is in the list. The case of letters does not matter: npm ignores it.

Sources: env_delete and env_check of sudo(8), unsecvars.h of glibc, ld.so(8), and the manuals of the programs.
"""

from __future__ import annotations

from typing import Final

_BEGINNINGS: Final = (
    # Dynamic linkers: Linux, macOS, AIX, IRIX. C library.
    *("LD_", "DYLD_", "LDR_", "_RLD", "GLIBC_TUNABLES", "MALLOC_"),
    # Shells.
    "BASH_",
    # Python, Perl, Ruby, Lua, npm, .NET, R, Guile.
    *("PYTHON", "PERL", "RUBY", "LUA_INIT", "LUA_PATH", "LUA_CPATH", "NPM_CONFIG_"),
    *("CORECLR_", "COMPLUS_", "R_ENVIRON", "R_PROFILE", "R_LIBS", "GUILE_"),
    # pip, Bundler, Git, Mercurial, Kerberos, GnuPG, OpenSSL, dpkg, debconf, systemd, less.
    *("PIP_", "BUNDLE_", "GIT_CONFIG", "GIT_TRACE", "KRB5_", "OPENSSL_", "DPKG_", "DEBCONF_", "LESSKEY"),
    # Directories with configuration that names commands.
    "XDG_",
)

_WORDS: Final = (
    # C library.
    " GCONV_PATH GETCONF_DIR HOSTALIASES LIBPATH LOCALDOMAIN LOCPATH NIS_PATH NLSPATH PATH_LOCALE"
    " RESOLV_HOST_CONF RES_OPTIONS SHLIB_PATH TMPDIR TZDIR"
    # Where programs are found, and what users start without naming it.
    " PATH HOME SHELL PWD OLDPWD BROWSER EDITOR VISUAL PAGER MANPAGER MANPATH MAILCAPS"
    # Shells: also names that they reserve, so that an assignment fails.
    " IFS ENV CDPATH PS0 PS1 PS2 PS3 PS4 PROMPT_COMMAND SHELLOPTS BASHOPTS BASHPID EUID UID PPID GROUPS"
    " GLOBIGNORE GLOBSORT EXECIGNORE FIGNORE FCEDIT FPATH FUNCNEST HISTFILE HISTCONTROL INPUTRC MAILPATH"
    " NULLCMD OPTARG OPTERR OPTIND POSIXLY_CORRECT READNULLCMD TMOUT TMPPREFIX ZDOTDIR"
    # Terminals.
    " TERMCAP TERMINFO TERMINFO_DIRS TERMPATH"
    # Languages.
    " NODE_EXTRA_CA_CERTS NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE"
    " DOTNET_ADDITIONAL_DEPS DOTNET_ROOT DOTNET_SHARED_STORE DOTNET_STARTUP_HOOKS"
    " CLASSPATH JAVA_HOME JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS GEM_HOME GEM_PATH"
    " PHPRC PHP_INI_SCAN_DIR R_HOME TCLLIBPATH TCL_LIBRARY ERL_AFLAGS ERL_FLAGS ERL_LIBS ERL_ZFLAGS"
    " GODEBUG GOFLAGS GOROOT AWKLIBPATH AWKPATH EMACSLOADPATH VIRTUAL_ENV"
    # Modules of libraries.
    " GIO_EXTRA_MODULES GIO_MODULE_DIR GI_TYPELIB_PATH GTK_MODULES GTK_PATH QT_PLUGIN_PATH SASL_PATH"
    # Git.
    " GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_ASKPASS GIT_COMMON_DIR GIT_DIR GIT_EDITOR GIT_EXEC_PATH"
    " GIT_EXTERNAL_DIFF GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PAGER GIT_PROXY_COMMAND"
    " GIT_SEQUENCE_EDITOR GIT_SSH GIT_SSH_COMMAND GIT_TEMPLATE_DIR GIT_WORK_TREE"
    # Other programs that run commands, or read their options, from variables.
    " APT_CONFIG AUTHSTATE CURL_HOME CVS_RSH DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS DLC_ACE EXINIT"
    " GCC_EXEC_PREFIX GNUMAKEFLAGS GNUPGHOME GREP_OPTIONS HGRCPATH KUBECONFIG LESS LESSCLOSE LESSOPEN"
    " MAKEFILES MAKEFLAGS MANOPT MORE NETRC PKG_CONFIG_PATH RIPGREP_CONFIG_PATH RSYNC_CONNECT_PROG RSYNC_RSH"
    " SSH_ASKPASS SUDO_ASKPASS SUDO_EDITOR SVN_EDITOR SVN_SSH SYSTEMD_EDITOR SYSTEMD_PAGER TAR_OPTIONS"
    " USR_ACE VAR_ACE VIMINIT WGETRC"
)
_NAMES: Final = frozenset(_WORDS.split())


def changes_how_programs_run(name: str) -> bool:
    """Whether an environment variable of this name does more than to hand over data."""
    upper = name.upper()
    return upper in _NAMES or upper.startswith(_BEGINNINGS)
