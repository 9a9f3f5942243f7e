# Runs one server and ends it when our standard input ends, that is when the process that started us is gone.
# Arguments: log file, pid file, the signal that stops the server, tenths of a second until KILL, then the command.
log=$1 pid_file=$2 stop=$3 patience=$4
shift 4
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server" >"$pid_file"
echo "$server"
exec >&-
(
  while read -r line; do :; done
  kill -s "$stop" "$server"
  while [ "$patience" -gt 0 ] && kill -0 "$server"; do
    sleep 0.1
    patience=$((patience - 1))
  done
  kill -s KILL "$server"
) <&3 2>/dev/null &
watcher=$!
exec 3<&- </dev/null
wait "$server"
status=$?
rm -f "$pid_file"
kill "$watcher" 2>/dev/null
exit "$status"
