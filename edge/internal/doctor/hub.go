package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"industrial-iot-monitor/internal/tlsfiles"
)

// hubTimeout bounds each step on the way to the hub: generous, for a bad line.
const hubTimeout = 10 * time.Second

// line is how far a connection to the hub came.
type line struct {
	host     string // host:port
	err      error
	stage    stage // at which err happened
	took     time.Duration
	server   string // name that the hub gave itself
	tls      bool
	expires  time.Time // of its certificate
	wantsTLS bool      // the hub speaks TLS alone, the gateway none
}

// stage is a step on the way to the hub.
type stage int

const (
	stageURL stage = iota
	stageName
	stageTCP
	stageInfo
	stageTLS
	stageDone
)

// examineHub goes to the hub as far as that needs no proof, and beyond only while no gateway runs: the hub
// would take the second connection for another installation with the same id.
func examineHub(ctx context.Context, o Options, g running) []Result {
	l := probeHub(ctx, o.HubURL, o.HubCAFile)
	checks := []Result{judgeHub(l, o)}
	if l.tls && l.err == nil {
		checks = append(checks, judgeExpiry("certificate of the hub", l.expires, o.Now, "renew it at the hub: bridge ca renew"))
	}
	return append(checks, judgeLink(ctx, o, g, l))
}

// probeHub dials the hub of a URL and reads its first message, INFO, as the leaf protocol has it; then
// comes TLS.
func probeHub(ctx context.Context, hubURL, caFile string) (l line) {
	u, err := url.Parse(hubURL)
	if err != nil || u.Host == "" {
		return line{err: errors.New("EDGE_HUB_URL: want nats-leaf://host:port or tls://host:port")}
	}
	l.host = u.Host
	if u.Port() == "" {
		l.host = net.JoinHostPort(u.Hostname(), "7422")
	}
	if strings.HasPrefix(u.Scheme, "ws") {
		l.err = errors.New("a hub by WebSocket is not examined")
		return l
	}
	l.stage = stageName
	if _, l.err = lookup(ctx, u.Hostname()); l.err != nil {
		return l
	}
	l.stage = stageTCP
	began := time.Now()
	nc, err := (&net.Dialer{Timeout: hubTimeout}).DialContext(ctx, "tcp", l.host)
	if err != nil {
		l.err = err
		return l
	}
	defer func() { _ = nc.Close() }() // nothing was sent that matters
	l.took = time.Since(began)
	l.stage, l.err = stageInfo, nc.SetDeadline(time.Now().Add(2*hubTimeout))
	if l.err == nil {
		l.greet(ctx, nc, u, caFile)
	}
	return l
}

func lookup(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// greet reads INFO and makes the TLS handshake.
func (l *line) greet(ctx context.Context, nc net.Conn, hub *url.URL, caFile string) {
	// TLS has the rest of the connection, which no buffer may swallow: the hub waits for the handshake.
	text, err := bufio.NewReaderSize(nc, 16<<10).ReadString('\n')
	if err != nil {
		l.err = fmt.Errorf("no greeting: %w", err)
		return
	}
	var info struct {
		Name        string `json:"server_name"`
		TLSRequired bool   `json:"tls_required"`
	}
	body, ok := strings.CutPrefix(text, "INFO ")
	if !ok || json.Unmarshal([]byte(body), &info) != nil {
		l.err = fmt.Errorf("it is no NATS server: it said %.40q", text)
		return
	}
	l.server = info.Name
	trust := caFile != "" || hub.Scheme == "tls"
	if !trust {
		l.wantsTLS = info.TLSRequired
		l.stage = stageDone
		return
	}
	l.stage = stageTLS
	if !info.TLSRequired {
		l.err = errors.New("the hub speaks no TLS, and this gateway trusts no other hub")
		return
	}
	settings, err := tlsfiles.Client(caFile, tls.VersionTLS13)
	if err != nil {
		l.err = fmt.Errorf("EDGE_HUB_CA_FILE: %w", err)
		return
	}
	settings.ServerName = hub.Hostname()
	client := tls.Client(nc, settings)
	if l.err = client.HandshakeContext(ctx); l.err != nil {
		return
	}
	l.tls, l.stage = true, stageDone
	l.expires = earliest(client.ConnectionState().PeerCertificates)
}

// earliest returns when the first of some certificates ends.
func earliest(certs []*x509.Certificate) (until time.Time) {
	for _, c := range certs {
		if until.IsZero() || c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return until
}

func judgeHub(l line, o Options) Result {
	r := Result{Check: "hub", Verdict: Fail}
	if l.err != nil {
		r.Value = strings.TrimSpace(l.host + " " + l.err.Error())
	}
	const kept = "; readings stay in the buffer meanwhile"
	switch {
	case l.err == nil && l.wantsTLS:
		r.Value, r.Advice = l.host+" speaks TLS alone", "enrol again with a newer claim, or set EDGE_HUB_CA_FILE"+kept
	case l.err == nil:
		r.Verdict = OK
		r.Value = fmt.Sprintf("%s (%s) answers in %s, %s", l.host, l.server, shown(l.took), map[bool]string{true: "TLS", false: "in clear"}[l.tls])
	case l.stage == stageURL:
		r.Advice = "enrol the gateway with edge enroll, or set EDGE_HUB_URL"
		if l.host != "" {
			r.Verdict, r.Advice = Skip, ""
		}
	case l.stage == stageName:
		r.Advice = "check the name, and DNS of this machine (/etc/resolv.conf)" + kept
	case l.stage == stageTCP:
		r.Advice = "check line, firewall and VPN: only outgoing connections to that port are needed" + kept
	case l.stage == stageInfo:
		r.Advice = "another program listens there, or a firewall answers; check host and port" + kept
	default:
		r.Advice = hubTLSAdvice(l.err) + kept
	}
	if r.Verdict == Fail && o.HubURL == o.unenrolledHub() {
		r.Advice = "enrol the gateway with edge enroll, or set EDGE_HUB_URL"
	}
	return r
}

// unenrolledHub is the address that no hub of another machine has.
func (o Options) unenrolledHub() string {
	if o.HubKey {
		return ""
	}
	return "nats-leaf://127.0.0.1:7422"
}

func hubTLSAdvice(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the hub's certificate has expired, or this clock is wrong: bridge ca renew at the hub"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "another machine answers in its place, or the plant has a new authority: enrol again with a newer claim"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the hub's certificate is for another name: bridge ca with that name, or correct EDGE_HUB_URL"
	}
	return "see the hub's log"
}

// judgeLink says whether the hub lets this gateway in.
func judgeLink(ctx context.Context, o Options, g running, l line) Result {
	r := Result{Check: "link", Verdict: OK}
	switch {
	case g.metrics["edge_hub_refused"] > 0:
		r.Verdict, r.Value, r.Advice = Fail, "the hub refuses the running gateway", "it was revoked, is not enrolled there, or another one with its id is connected: bridge gateway list at the hub"
	case g.metrics["edge_hub_connected"] > 0:
		r.Value = "the running gateway is connected"
	case len(g.metrics) > 0:
		r.Verdict, r.Value, r.Advice = Warn, "the running gateway is not connected", "see the hub above; readings stay in the buffer"
	case g.pid != 0:
		r.Verdict, r.Value = Skip, "a gateway runs, and its state is not known"
	case o.Gateway == "":
		r.Verdict, r.Value = Skip, "not tried without an id: enrol the gateway with edge enroll"
	case l.err != nil || l.wantsTLS || o.TryHub == nil:
		r.Verdict, r.Value = Skip, "not tried, see the hub"
	default:
		return tryLink(ctx, o)
	}
	return r
}

func tryLink(ctx context.Context, o Options) Result {
	proof := map[bool]string{true: "with its key", false: "without a key"}[o.HubKey]
	if err := o.TryHub(ctx); err != nil {
		return Result{
			Check: "link", Verdict: Fail, Value: fmt.Sprintf("%s: %v", proof, err),
			Advice: "ask for a claim (bridge gateway add, bridge gateway rotate) and enrol with edge enroll",
		}
	}
	return Result{Check: "link", Verdict: OK, Value: "the hub lets this gateway in " + proof}
}
