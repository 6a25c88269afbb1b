package history

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/tlsfiles"
)

// Paths of the historian's HTTP interface.
const (
	SeriesPath   = "/history/v1/series"
	ExportPath   = "/history/v1/export"
	StatusPath   = "/history/v1/status"
	ProgressPath = "/history/v1/progress"
	// PromPath is before the paths of Prometheus' API, which Forward asks.
	PromPath = "/prom"
)

// Names of the parameters of a question in a URL. Lists are separated by commas.
const (
	paramDevices    = "devices"
	paramBuilding   = "building" // repeated: a name may have a comma
	paramParameters = "parameters"
	paramFrom       = "from"
	paramTo         = "to"
	paramPoints     = "points"
	paramStep       = "step"
	paramID         = "id"
)

// Values returns q as parameters of a URL.
func (q *Query) Values() url.Values {
	v := url.Values{}
	if q.Devices != nil {
		v.Set(paramDevices, strings.Join(q.Devices, ","))
	}
	if q.Buildings != nil {
		v[paramBuilding] = q.Buildings
	}
	v.Set(paramFrom, strconv.FormatInt(q.From, 10))
	v.Set(paramTo, strconv.FormatInt(q.To, 10))
	if q.Parameters != nil {
		v.Set(paramParameters, strings.Join(q.Parameters, ","))
	}
	if q.Step != 0 {
		v.Set(paramStep, strconv.FormatInt(q.Step, 10))
	} else {
		v.Set(paramPoints, strconv.Itoa(q.Points))
	}
	return v
}

// ParseQuery is the inverse of Query.Values. It does not Check.
func ParseQuery(v url.Values) (q Query, err error) {
	list := func(name string) []string {
		if v.Get(name) == "" {
			return nil
		}
		return strings.Split(v.Get(name), ",")
	}
	number := func(name string) int64 {
		text := v.Get(name)
		if text == "" {
			return 0
		}
		n, e := strconv.ParseInt(text, 10, 64)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s=%q: want a whole number", name, text))
		}
		return n
	}
	q = Query{
		Devices: list(paramDevices), Buildings: v[paramBuilding], Parameters: list(paramParameters), From: number(paramFrom), To: number(paramTo),
		Points: int(number(paramPoints)), Step: number(paramStep),
	}
	return q, err
}

// ErrUnavailable is returned when the historian gave no answer.
var ErrUnavailable = errors.New("history is not available")

// answerTimeout bounds a question. A chart that takes longer is of no use.
const answerTimeout = 10 * time.Second

// Client asks a historian. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// Options of a Client. URL is required.
type Options struct {
	URL    string // of the historian, such as http://127.0.0.1:9106
	Token  string // CORE_HISTORY_TOKEN of the historian; empty: none is sent
	CAFile string // PEM file of the authority of an https:// URL; empty: those of the system
}

// NewClient returns a client of a historian.
func NewClient(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q: want a URL such as http://127.0.0.1:9106", o.URL)
	}
	c := &Client{base: strings.TrimSuffix(o.URL, "/"), token: o.Token, http: &http.Client{}}
	if o.CAFile != "" {
		settings, err := tlsfiles.Client(o.CAFile, tls.VersionTLS13)
		if err != nil {
			return nil, err
		}
		c.http.Transport = &http.Transport{TLSClientConfig: settings, Proxy: http.ProxyFromEnvironment}
	}
	return c, nil
}

// do sends a request with the token.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req)
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Series asks for the course of devices. The error wraps ErrUnavailable unless the question was
// refused.
func (c *Client) Series(ctx context.Context, q *Query) (*Answer, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	a := new(Answer)
	if err := c.ask(ctx, SeriesPath, q.Values(), a); err != nil {
		return nil, err
	}
	return a, nil
}

// Status asks what the historian holds.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	if err := c.ask(ctx, StatusPath, nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Progress asks how far a running export is.
func (c *Client) Progress(ctx context.Context, id string) (*Progress, error) {
	p := new(Progress)
	if err := c.ask(ctx, ProgressPath, url.Values{paramID: {id}}, p); err != nil {
		return nil, err
	}
	return p, nil
}

// ask decodes the answer to a request into out.
func (c *Client) ask(ctx context.Context, path string, v url.Values, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := c.get(ctx, path, v)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was read
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("%w: reading the answer of %s: %w", ErrUnavailable, c.base+path, err)
	}
	return nil
}

// Export asks for all readings of a range; see ExportQuery. The caller closes the stream. A
// stream that ends early returns io.ErrUnexpectedEOF.
func (c *Client) Export(ctx context.Context, q *ExportQuery) (io.ReadCloser, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	return c.get(ctx, ExportPath, q.Values())
}

// Forward sends a request to Prometheus' API as it is and returns the response, whatever its status; the
// caller closes its body. The path begins with PromPath. The error wraps ErrUnavailable.
func (c *Client) Forward(ctx context.Context, method, path, query, contentType string, body []byte) (*http.Response, error) {
	u := url.URL{Path: path}
	req, err := http.NewRequestWithContext(ctx, method, c.base+u.EscapedPath()+"?"+query, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the historian: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return resp, nil
}

func (c *Client) get(ctx context.Context, path string, v url.Values) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+v.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking the historian: %w", err)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }() // the status is the error
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	err = fmt.Errorf("%s answered %s: %s", c.base+path, resp.Status, strings.TrimSpace(string(text)))
	if resp.StatusCode != http.StatusBadRequest {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, err
}
