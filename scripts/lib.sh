# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the build scripts share: where things lie, progress lines, packages, and
# a private apt that can look at other suites without touching the system's own.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${MXACCEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mxaccel}
BUILD=$TOP/build
STARTED=$SECONDS
mkdir -p "$CACHE" "$BUILD"

# One progress line: seconds since the script began, the script, the message.
say()
{
	printf '[%4ds] %s: %s\n' $((SECONDS - STARTED)) "$(basename "$0")" "$*"
}

die()
{
	printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Runs a command as root: directly, or through sudo.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "'$*' needs root: run it as root, or install sudo"
	fi
}

# Lets one process at a time into a part of the cache, until the script ends.
lock_cache()
{
	local name=$1

	exec 9>"$CACHE/$name.lock"
	flock -n 9 || { say "waiting for another build of $name"; flock 9; }
}

# Hash of a set of files, by name and content; absent directories count as empty.
hash_tree()
{
	find "$@" -type f 2>/dev/null | LC_ALL=C sort | xargs -r -d '\n' sha256sum | sha256sum |
		cut -c1-16
}

os_release()
{
	# shellcheck disable=SC1091
	(. /etc/os-release && eval "printf '%s' \"\${$1:-}\"")
}

# --- packages -----------------------------------------------------------------

update_lists()
{
	say "apt-get update"
	as_root apt-get -qq update
}

missing_packages()
{
	local package

	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
			printf '%s\n' "$package"
	done
}

# Installs those of the named packages that are not there yet.
need_packages()
{
	local missing package

	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	for package in "${missing[@]}"; do
		apt-cache show "$package" >/dev/null 2>&1 && continue
		update_lists
		break
	done
	say "installing: ${missing[*]}"
	install_packages "${missing[@]}" && return 0
	# Lists older than the mirror's point release name files that are gone.
	update_lists
	install_packages "${missing[@]}"
}

install_packages()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
		--no-install-recommends install "$@" >"$BUILD/apt.log" 2>&1 && return 0
	tail -20 "$BUILD/apt.log" >&2
	return 1
}

# --- a private apt ------------------------------------------------------------

# The addresses of the distribution's archive as this machine knows them:
# archive_uri Debian gives the main archive, archive_uri Debian-Security the other.
archive_uri()
{
	local label=$1

	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v label="$label" '$1 == label { print $2; exit }'
}

# private_apt NAME TYPE SUITE...: makes a private apt configuration that knows only
# the given suites, and sets APT to the option that selects it. TYPE is deb or deb-src.
# A suite "*-security" comes from the security archive where the machine has one.
private_apt()
{
	local name=$1 type=$2 label main security keyring dir suite uri
	shift 2

	label=$(os_release ID)
	label=${label^}
	main=$(archive_uri "$label")
	if [ -z "$main" ]; then
		update_lists
		main=$(archive_uri "$label")
	fi
	[ -n "$main" ] || die "apt on this machine knows no archive labelled $label"
	security=$(archive_uri "$label-Security")
	# Ubuntu keeps its security suites in the main archive.
	[ "$label" = Debian ] || security=$main
	keyring=/usr/share/keyrings/${label,,}-archive-keyring.gpg

	dir=$CACHE/apt/$name
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/empty"
	for suite in "$@"; do
		case $suite in
		*-security) uri=$security ;;
		*) uri=$main ;;
		esac
		[ -n "$uri" ] || continue
		printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n' "$type" "$uri" "$suite"
		if [ -e "$keyring" ]; then printf 'Signed-By: %s\n' "$keyring"; fi
		printf '\n'
	done >"$dir/mxaccel.sources"
	cat >"$dir/apt.conf" <<-CONF
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		Dir::Etc::sourcelist "$dir/mxaccel.sources";
		Dir::Etc::sourceparts "$dir/empty";
		Dir::Etc::preferencesparts "$dir/empty";
		Dir::State::Lists "$dir/lists";
		Dir::Cache "$dir/cache";
		Dir::Cache::archives "$dir/cache/archives";
		APT::Get::List-Cleanup "true";
		APT::Sandbox::User "$(id -un)";
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	CONF
	APT=(-c "$dir/apt.conf")
	say "reading the index of $*"
	apt-get -qq "${APT[@]}" update || die "cannot read the index of $* from the archive"
}
