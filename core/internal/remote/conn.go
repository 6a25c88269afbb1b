package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// writeTimeout bounds one write. A slow engine is waited for: nothing is read meanwhile.
const writeTimeout = 30 * time.Second

var (
	errURL = errors.New("want a URL such as http://127.0.0.1:8428")
	// errAnswer is an answer that no engine gives.
	errAnswer = errors.New("unexpected answer of the engine")
)

// conn is an address of an engine.
type conn struct {
	base  *url.URL
	http  *http.Client
	dials atomic.Int64
}

func newConn(text string) (*conn, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errURL // without the text, which may have a password
	}
	return connTo(u), nil
}

func connTo(u *url.URL) *conn {
	c := &conn{base: u}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	c.http = &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c.dials.Add(1)
			return dialer.DialContext(ctx, network, addr)
		},
	}}
	return c
}

// name is the address without what is secret.
func (c *conn) name() string {
	u := *c.base
	u.User = nil
	if db := u.Query().Get("db"); db != "" {
		u.RawQuery = url.Values{"db": {db}}.Encode()
	} else {
		u.RawQuery = ""
	}
	return u.String()
}

// at returns the URL of a path with parameters beside those of the address.
func (c *conn) at(path string, v url.Values) string {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	all := u.Query()
	maps.Copy(all, v)
	u.RawQuery = all.Encode()
	return u.String()
}

// refusal is the answer to lines of which some can never be stored.
type refusal struct{ text string }

func (r *refusal) Error() string { return "the engine refused lines: " + r.text }

// writer writes lines, one batch at a time.
type writer struct {
	*conn
	// settles is how long after its confirmation a batch can be lost when the engine is killed.
	settles time.Duration
}

// write posts lines. A *refusal says that some of them can never be stored; others may be.
func (c *writer) write(ctx context.Context, lines []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.at("/write", url.Values{"precision": {"ms"}}), bytes.NewReader(lines))
	if err != nil {
		return errURL
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10)) // so that the connection is used again
		return nil
	}
	text := excerpt(resp.Body)
	// Other answers of 4xx are about the address, the password or the database, and nothing is wrong
	// with the readings.
	lineError := strings.Contains(text, "partial write") || strings.Contains(text, "unable to parse")
	if resp.StatusCode == http.StatusRequestEntityTooLarge || resp.StatusCode == http.StatusBadRequest && lineError {
		return &refusal{text}
	}
	return fmt.Errorf("%w: %s: %s", errAnswer, resp.Status, text)
}

// get asks a question. The caller closes the body.
func (c *conn) get(ctx context.Context, path string, v url.Values) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.at(path, nil), strings.NewReader(v.Encode()))
	if err != nil {
		return nil, errURL
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }() // the status is the error
	return nil, fmt.Errorf("%w: %s: %s", errAnswer, resp.Status, excerpt(resp.Body))
}

func excerpt(r io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(r, 512))
	return strings.TrimSpace(string(text))
}

// bare returns an error without the URL, which may have a password.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("asking the engine: %w", e.Err)
	}
	return err
}
