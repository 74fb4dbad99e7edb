#!/bin/sh
# Makes and removes one member as processes of this machine. Every command may be repeated, and repeated at the same time:
# one that was cut off by a SIGKILL is carried on by the next.
#
#   member.sh create    starts the agent of BURST_INTENT, unless it runs
#   member.sh destroy   stops it and removes its folder
#   member.sh sweep     destroys every intent of BURST_POOL that is not in BURST_KEEP (separated by spaces)
#
# The tag of a member is its folder, BURST_ROOT/BURST_POOL/INTENT, which is also the agent's --state and therefore part of
# its command line: what runs for an intent is found without any record of it.
set -eu

fail() {
    echo "member.sh: $*" >&2
    exit 1
}

# The processes that have the folder, or something in it, as an argument: the agent, and shims that hold its pods.
tagged() {
    pattern=$(printf '%s' "$1" | sed 's/[^a-zA-Z0-9/_-]/\\&/g')
    grep -lzE "^$pattern(/.*)?\$" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 || true
}

# Those among them that are agents.
agents() {
    for pid in $(tagged "$1"); do
        if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n 2p | grep -qx agent; then
            echo "$pid"
        fi
    done
}

# One at a time for an intent: a Terraform that a dead leader left behind may still be at it.
enter() {
    umask 077
    mkdir -p "$BURST_ROOT/$BURST_POOL"
    exec 9>"$BURST_ROOT/$BURST_POOL/.$BURST_INTENT.lock"
    flock -w 60 9 || fail "another create or destroy of $BURST_INTENT does not end"
}

create() {
    enter
    folder=$BURST_ROOT/$BURST_POOL/$BURST_INTENT
    if [ -e "$BURST_ROOT/$BURST_POOL/.$BURST_INTENT.gone" ]; then
        fail "$BURST_INTENT was destroyed: it is not made again"
    fi
    mkdir -p "$folder"
    if [ -n "$(agents "$folder")" ]; then
        echo "the agent of $BURST_INTENT runs already"
        return 0
    fi
    printf '%s' "$BURST_ENTRY" >"$folder/member.json"
    # What gives access to the state is no business of the agent.
    for name in $(env | sed -n 's/^\(TF_[A-Z_]*\)=.*/\1/p'); do
        unset "$name"
    done
    "$BURST_MUSTER" agent --detach --pid-file "$folder/agent.pid" --state "$folder" --name "$BURST_MEMBER" \
        --members-entry "$folder/member.json" --join "$BURST_URL" --ca-pin "$BURST_PIN" --join-patience 60s 9>&-
}

destroy() {
    [ -d "$BURST_ROOT/$BURST_POOL" ] || return 0
    enter
    folder=$BURST_ROOT/$BURST_POOL/$BURST_INTENT
    : >"$BURST_ROOT/$BURST_POOL/.$BURST_INTENT.gone"
    for pid in $(agents "$folder"); do
        kill -TERM "$pid" 2>/dev/null || true
    done
    waited=0
    while [ "$waited" -lt $((BURST_SECONDS * 10)) ] && [ -n "$(tagged "$folder")" ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    for pid in $(tagged "$folder"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
    # Marks and locks of intents that are long over.
    find "$BURST_ROOT/$BURST_POOL" -maxdepth 1 -name '.*' -type f -mtime +1 -exec rm -f {} +
    exec 9>&-
}

sweep() {
    [ -d "$BURST_ROOT/$BURST_POOL" ] || return 0
    for found in "$BURST_ROOT/$BURST_POOL"/*/; do
        [ -d "$found" ] || continue
        intent=$(basename "$found")
        case " $BURST_KEEP " in
        *" $intent "*) continue ;;
        esac
        echo "$intent has no state: it is removed"
        BURST_INTENT=$intent
        destroy
    done
}

: "${BURST_ROOT:?}" "${BURST_POOL:?}" "${BURST_SECONDS:=15}" "${BURST_KEEP:=}"
case "$BURST_ROOT" in
/*) ;;
*) fail "BURST_ROOT: must be an absolute path" ;;
esac
case "${1:-}" in
create) create ;;
destroy) destroy ;;
sweep) sweep ;;
*) fail "usage: member.sh create|destroy|sweep" ;;
esac
