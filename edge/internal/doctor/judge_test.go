package doctor

import (
	"errors"
	"io/fs"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// verdicts checks a table of results, and that each one that is not ok says what to do.
func verdicts(t *testing.T, table map[string]struct {
	got  Result
	want Verdict
	says string
},
) {
	t.Helper()
	for name, tt := range table {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.got.Verdict, "%+v", tt.got)
			require.Contains(t, tt.got.Value+"; "+tt.got.Advice, tt.says)
			if tt.want == Warn || tt.want == Fail {
				require.NotEmpty(t, tt.got.Advice)
			}
		})
	}
}

type table = map[string]struct {
	got  Result
	want Verdict
	says string
}

func TestAFileSystemThatForgetsIsAFailure(t *testing.T) {
	ext4 := filesystem{kind: "ext4", source: "/dev/sda2"}
	with := func(option string) filesystem { return filesystem{kind: "ext4", options: []string{"rw", option}} }
	verdicts(t, table{
		"a disk":      {judgeFilesystem(ext4, nil), OK, "ext4 on /dev/sda2"},
		"memory":      {judgeFilesystem(filesystem{kind: "tmpfs"}, nil), Fail, "gone after a power cut"},
		"no barriers": {judgeFilesystem(with("nobarrier"), nil), Fail, "nobarrier"},
		"barrier=0":   {judgeFilesystem(with("barrier=0"), nil), Fail, "barrier=0"},
		"read-only":   {judgeFilesystem(with("ro"), nil), Fail, "dmesg"},
		"a server":    {judgeFilesystem(filesystem{kind: "nfs"}, nil), Warn, "up to the server"},
		"a container": {judgeFilesystem(filesystem{kind: "overlay"}, nil), Warn, "volume"},
		"unknown":     {judgeFilesystem(filesystem{}, errors.New("no mount")), Skip, "no mount"},
	})
}

func TestASyncQuickerThanItsMediumIsSuspicious(t *testing.T) {
	of := func(each time.Duration, last ...time.Duration) syncs {
		s := syncs{}
		for range 99 {
			s.took = append(s.took, each)
		}
		return syncs{took: append(s.took, last...)}
	}
	ssd, disk, card := filesystem{kind: "ext4"}, filesystem{kind: "ext4", rotating: true}, filesystem{kind: "ext4", card: true}
	verdicts(t, table{
		"ssd":              {judgeSync(of(400*time.Microsecond, time.Millisecond), ssd), OK, "p50 400µs, p99 1ms of 100"},
		"disk":             {judgeSync(of(9*time.Millisecond, 20*time.Millisecond), disk), OK, "plausible for a rotating disk"},
		"card":             {judgeSync(of(9*time.Millisecond, 100*time.Millisecond), card), OK, "an SD card"},
		"disk, too quick":  {judgeSync(of(300*time.Microsecond, time.Millisecond), disk), Warn, "a cache answers"},
		"card, too quick":  {judgeSync(of(100*time.Microsecond, time.Millisecond), card), Warn, "a cache answers"},
		"any, too quick":   {judgeSync(of(5*time.Microsecond, time.Millisecond), ssd), Warn, "pulling the plug"},
		"slow":             {judgeSync(of(9*time.Millisecond, 300*time.Millisecond), card), Warn, "devices wait"},
		"too slow":         {judgeSync(of(9*time.Millisecond, 2*time.Second), card), Fail, "retry later"},
		"no place for it":  {judgeSync(syncs{err: fs.ErrPermission}, ssd), Skip, "permission denied"},
		"nothing measured": {judgeSync(syncs{}, ssd), Skip, "not measured"},
	})
}

func TestTheBufferHorizonIsThatOfTheRate(t *testing.T) {
	room := Room{Wanted: 1 << 30, Limit: 1 << 30, Free: 2 << 30}
	gateway := func(perSecond, full float64) running {
		return running{pid: 1, metrics: map[string]float64{
			"edge_buffer_bytes_per_second": perSecond, "edge_buffer_limit_bytes": 2e9, "edge_buffer_bytes": 1e9, "edge_buffer_full": full,
		}}
	}
	verdicts(t, table{
		"of the running gateway": {judgeHorizon(gateway(1000, 0), room, 0), OK, "11 days as in the last minutes"},
		"short":                  {judgeHorizon(gateway(100_000, 0), room, 0), Warn, "2h47m0s"},
		"full":                   {judgeHorizon(gateway(1000, 1), room, 0), Fail, "retry later"},
		"of an expected rate":    {judgeHorizon(running{}, room, 10), OK, "2 days for 10 readings a second"},
		"expected, with one":     {judgeHorizon(gateway(1, 0), room, 1000), Warn, "for 1000 readings"},
		"silent":                 {judgeHorizon(gateway(0, 0), room, 0), Skip, "-rate"},
		"nothing runs":           {judgeHorizon(running{}, room, 0), Skip, "-rate"},
		"no disk":                {judgeHorizon(running{}, Room{Err: fs.ErrNotExist}, 10), Skip, "not known"},
	})
}

func TestRoomForTheBuffer(t *testing.T) {
	verdicts(t, table{
		"enough":    {judgeRoom(Room{Wanted: 10 << 30, Limit: 10 << 30, Used: 3 << 20, Free: 20 << 30}), OK, "3 MiB of 10.0 GiB in use, 20.0 GiB free"},
		"lowered":   {judgeRoom(Room{Wanted: 10 << 30, Limit: 4 << 30, Free: 4 << 30}), Warn, "free 6.0 GiB"},
		"too small": {judgeRoom(Room{Err: errors.New("the disk has 3 MB free")}), Fail, "free space"},
		"no id yet": {judgeRoom(Room{Err: errNoID}), Skip, "no id"},
	})
}

func TestClockMemoryAndFiles(t *testing.T) {
	at := func(year int) time.Time { return time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC) }
	verdicts(t, table{
		"kept":              {judgeClock(clock{now: now, known: true, synchronised: true, error: 3 * time.Millisecond}), OK, "error below 3ms"},
		"adrift":            {judgeClock(clock{now: now, known: true}), Warn, "chrony"},
		"after a dead cell": {judgeClock(clock{now: at(1970), known: true, synchronised: true}), Fail, "set it"},
		"far ahead":         {judgeClock(clock{now: at(2107), known: true, synchronised: true}), Fail, "set it"},
		"not known":         {judgeClock(clock{now: now, err: fs.ErrPermission}), Skip, "permission"},
		"files":             {judgeOpenFiles(65536, nil, 20000), OK, "limit 65536"},
		"no limit":          {judgeOpenFiles(math.MaxUint64, nil, 20000), OK, "no limit"},
		"few files":         {judgeOpenFiles(1024, nil, 20000), Warn, "LimitNOFILE"},
		"files unknown":     {judgeOpenFiles(0, fs.ErrPermission, 1), Skip, "permission"},
		"memory":            {judgeMemory(memory{free: 1 << 30, total: 2 << 30}), OK, "1.0 GiB available of 2.0 GiB"},
		"little memory":     {judgeMemory(memory{free: 100 << 20, total: 512 << 20}), Warn, "500 MiB"},
		"used by itself":    {judgeMemory(memory{free: 300 << 20, total: 1 << 30, used: 300 << 20}), OK, "the gateway uses 300 MiB"},
		"a large gateway":   {judgeMemory(memory{free: 1 << 30, total: 2 << 30, used: 600 << 20}), Warn, "stays below"},
		"memory unknown":    {judgeMemory(memory{err: fs.ErrNotExist}), Skip, "not exist"},
	})
}

func TestFilesOfKeys(t *testing.T) {
	key, tlsKey := File{"key of the gateway", "/d/gateway.nk"}, File{"EDGE_TLS_KEY_FILE", "/d/tls.key"}
	verdicts(t, table{
		"private":         {judgeSecret(key, mode{bits: 0o600, uid: 7}, 7, true), OK, "0600"},
		"of another user": {judgeSecret(key, mode{bits: 0o600, uid: 0}, 7, true), Fail, "chown 7"},
		"read by others":  {judgeSecret(key, mode{bits: 0o640, uid: 7}, 7, true), Fail, "chmod 0600"},
		"unreadable":      {judgeSecret(key, mode{err: fs.ErrPermission}, 7, true), Fail, "as root"},
		"tls key":         {judgeKey(tlsKey, nil, mode{bits: 0o640}), OK, "belongs to the certificate"},
		"tls key, open":   {judgeKey(tlsKey, nil, mode{bits: 0o644}), Fail, "chmod 0640"},
		"tls key, closed": {judgeKey(tlsKey, fs.ErrPermission, mode{}), Fail, "root:iot-edge"},
		"tls key, other":  {judgeKey(tlsKey, errors.New("does not match"), mode{}), Fail, "made together"},
		"no directory":    {judgeDirectory(directory{name: "/d", missing: true}), Warn, "EDGE_DATA_DIR"},
		"not its own":     {judgeDirectory(directory{name: "/d", err: fs.ErrPermission, uid: 5}), Fail, "user 5"},
		"its own":         {judgeDirectory(directory{name: "/d", uid: 5}), OK, "user 5"},
	})
}

func TestPorts(t *testing.T) {
	p, some := Port{"EDGE_MQTT_ADDR", "127.0.0.1:1883"}, running{pid: 4}
	verdicts(t, table{
		"free":              {judgePort(p, port{}, running{}), OK, "free"},
		"of the gateway":    {judgePort(p, port{held: true}, some), OK, "process 4"},
		"of another":        {judgePort(p, port{held: true, err: syscall.EADDRINUSE}, running{}), Fail, "ss -ltnp"},
		"not answering":     {judgePort(p, port{err: syscall.ECONNREFUSED}, some), Warn, "restart"},
		"not allowed":       {judgePort(p, port{err: fs.ErrPermission}, running{}), Fail, "CAP_NET_BIND_SERVICE"},
		"another machine's": {judgePort(p, port{err: syscall.EADDRNOTAVAIL}, running{}), Fail, "ip address"},
		"any":               {judgePort(Port{"EDGE_MQTT_ADDR", "127.0.0.1:0"}, port{}, running{}), Skip, "any free port"},
	})
}

func TestTheRunningGateway(t *testing.T) {
	verdicts(t, table{
		"ready":     {judgeRunning(running{pid: 4, ready: "ready"}), OK, "process 4"},
		"insecure":  {judgeRunning(running{pid: 4, ready: "ready INSECURE=anonymous"}), OK, "INSECURE"},
		"not ready": {judgeRunning(running{pid: 4, ready: "not ready: the buffer is full"}), Fail, "journalctl"},
		"silent":    {judgeRunning(running{pid: 4, readErr: syscall.ECONNREFUSED}), Warn, "EDGE_HTTP_ADDR"},
		"none":      {judgeRunning(running{}), Skip, "does not run"},
		"not known": {judgeRunning(running{err: fs.ErrPermission}), Skip, "not known"},
		"settings":  {judgeSettings(Options{Settings: errors.New("EDGE_LINGER=5s: want 0 to 1s")}), Fail, "EDGE_LINGER"},
		"usable":    {judgeSettings(Options{}), OK, "usable"},
		"due soon":  {judgeExpiry("c", now.AddDate(0, 0, 20), now, "renew"), Warn, "20 days left"},
		"not due":   {judgeExpiry("c", now.AddDate(0, 3, 0), now, "renew"), OK, "until 2027-03-01"},
		"over":      {judgeExpiry("c", now.AddDate(0, 0, -1), now, "renew"), Fail, "expired on 2026-11-28"},
		"this very": {judgeExpiry("c", now, now, "renew"), Fail, "expired"},
	})
}

func TestTheWorstVerdictCounts(t *testing.T) {
	require.Equal(t, OK, worst([]Result{{Verdict: Skip}, {Verdict: OK}}))
	require.Equal(t, Warn, worst([]Result{{Verdict: Warn}, {Verdict: OK}, {Verdict: Skip}}))
	require.Equal(t, Fail, worst([]Result{{Verdict: OK}, {Verdict: Fail}, {Verdict: Warn}}))
}
