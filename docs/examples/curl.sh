#!/usr/bin/env bash
# Captions, describes or asks about a recording with curl; needs bash, base64, tr and curl 7.76, nothing of mllm.
#
#   curl.sh caption FILE [short|long|tags]
#   curl.sh describe FILE
#   curl.sh chat FILE [QUESTION]
#
# The address is $MLLM_URL (http://127.0.0.1:8000 if unset), the key $MLLM_API_KEY. Prints the server's JSON; the exit
# status is 22 where the server refuses, and the JSON says why.
set -euo pipefail
export LC_ALL=C # bytes are bytes, whatever their language

url=${MLLM_URL:-http://127.0.0.1:8000}
usage="usage: $0 caption FILE [short|long|tags] | describe FILE | chat FILE [QUESTION]"

# The key goes to curl through a pipe: on the command line, other users of this machine could read it.
ask() { # PATH [OPTIONS OF CURL]
    curl --silent --show-error --fail-with-body --max-time 300 --write-out '\n' --header @<(authorization) \
        "${@:2}" "$url$1"
}

authorization() {
    if [[ -n ${MLLM_API_KEY:-} ]]; then printf 'Authorization: Bearer %s\n' "$MLLM_API_KEY"; fi
}

# A text between quotes, for curl's forms as well as for JSON.
quoted() {
    local text=$1
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "$text"
}

json_string() {
    quoted "${1//[[:cntrl:]]/ }"
}

# The body is piped, not put on the command line, which is too short for a recording.
chat_body() { # FILE QUESTION
    printf '{"model": "mllm", "temperature": 0, "messages": [{"role": "user", "content": ['
    printf '{"type": "audio_url", "audio_url": {"url": "data:audio/unknown;base64,'
    base64 <"$1" | tr -d '\n'
    printf '"}}, {"type": "text", "text": %s}]}]}' "$(json_string "$2")"
}

case "${1:-} $#" in
"caption 2" | "caption 3" | "describe 2" | "chat 2" | "chat 3") ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
if [[ ! -r $2 || -d $2 ]]; then
    echo "$0: there is no file $2 that can be read" >&2
    exit 2
fi

case $1 in
caption) ask /v1/captions --form "file=@$(quoted "$2")" --form-string "style=${3:-long}" ;;
describe) ask /v1/describe --form "file=@$(quoted "$2")" ;;
chat)
    chat_body "$2" "${3:-What is the key?}" |
        ask /v1/chat/completions --header 'Content-Type: application/json' --data-binary @-
    ;;
esac
