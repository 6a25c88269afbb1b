package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"industrial-iot-monitor/internal/ops"
)

// maxAnswer is how much of a receiver's answer is read, shownAnswer how much is logged.
const (
	maxAnswer   = 64 << 10
	shownAnswer = 200
)

// Outcomes of a request.
type outcome int

const (
	accepted outcome = iota // 2xx
	failed                  // worth a retry: no answer, 408, 429, 5xx
	refused                 // anything else: a retry would be refused again
)

// answer is the outcome of a request.
type answer struct {
	outcome outcome
	status  int           // 0 without an answer
	pause   time.Duration // asked for by the receiver
	text    string        // the start of the body
	err     error         // without the URL
}

// poster sends JSON to one address.
type poster struct {
	client  *http.Client
	url     string
	token   string
	secrets []string // never shown
}

// newPoster returns a poster to address, which was checked to be a URL.
func newPoster(address, token string, timeout time.Duration, transport http.RoundTripper) *poster {
	p := &poster{url: address, token: token, client: &http.Client{
		Timeout:   timeout,
		Transport: transport,
		// net/http would repeat a redirected POST as a GET without a body.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.secrets = append(p.secrets, token, address)
	if u, err := url.Parse(address); err == nil {
		password, _ := u.User.Password()
		p.secrets = append(p.secrets, password, strings.Trim(u.EscapedPath(), "/"), u.RawQuery)
	}
	return p
}

// newTransport returns the connections of all outputs.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// post sends body and blocks until it is answered, its time is up or ctx ends.
func (p *poster) post(ctx context.Context, body []byte) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return answer{outcome: refused, err: bare(err)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "industrial-iot-monitor/"+ops.Version)
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return answer{outcome: failed, err: bare(err)}
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status is what matters
	a := answer{
		outcome: classify(res.StatusCode), status: res.StatusCode, pause: retryAfter(res.Header, time.Now()),
		text: p.show(said),
	}
	if a.outcome != accepted {
		a.err = fmt.Errorf("receiver answered %d", res.StatusCode)
	}
	return a
}

func classify(status int) outcome {
	switch {
	case status >= 200 && status < 300:
		return accepted
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return failed
	default:
		return refused
	}
}

// bare removes the URL from an error: it may contain a secret.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fmt.Errorf("no answer in time: %w", e.Err)
		}
		return e.Err
	}
	return err
}

// show returns the start of an answer for the log, unless it contains a secret.
func (p *poster) show(said []byte) string {
	text := strings.ToValidUTF8(string(said), "�")
	for _, secret := range p.secrets {
		if secret != "" && strings.Contains(text, secret) {
			return ""
		}
	}
	if r := []rune(text); len(r) > shownAnswer {
		text = string(r[:shownAnswer]) + "…"
	}
	return strings.TrimSpace(text)
}
