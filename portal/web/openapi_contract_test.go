package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
)

// contract checks answers against the OpenAPI document. It is the transport of a rig's client, so
// every answer in a test is checked: one that violates the document fails the request.
type contract struct {
	mu       sync.Mutex
	doc      map[string]any
	compiler *jsonschema.Compiler
}

var errUndocumented = errors.New("violates the OpenAPI document")

// theContract is created once: compiling the schemas takes longer than most tests.
var theContract = sync.OnceValues(func() (*contract, error) {
	file, err := openAPI()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file.body))
	if err != nil {
		return nil, err
	}
	k := &contract{compiler: jsonschema.NewCompiler()}
	k.doc, _ = doc.(map[string]any)
	return k, k.compiler.AddResource("openapi.json", doc)
})

// checked is a transport that checks answers against the document.
type checked struct {
	*http.Transport

	k *contract
}

func checkedTransport(tb testing.TB) checked {
	tb.Helper()
	k, err := theContract()
	require.NoError(tb, err)
	return checked{&http.Transport{}, k}
}

// RoundTrip implements http.RoundTripper.
func (t checked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if err != nil || strings.HasPrefix(req.URL.Path, history.PromPath+"/") { // Prometheus documents those
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := t.k.check(req.Method, req.URL, resp.StatusCode, resp.Header.Get("Content-Type"), body); err != nil {
		return nil, fmt.Errorf("%w: %s\n%w", errUndocumented, body, err)
	}
	if resp.StatusCode < 300 && req.GetBody != nil {
		sent, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(sent)
		if err != nil {
			return nil, err
		}
		if err := t.k.checkTaken(req.Method, req.URL, text); err != nil {
			return nil, fmt.Errorf("%w: the body that was taken: %s\n%w", errUndocumented, text, err)
		}
	}
	return resp, nil
}

// find returns the endpoint of a URL, nil if the API has none.
func find(method string, u *url.URL) *endpoint {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts := strings.Split(u.EscapedPath(), "/")
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			names := strings.Split(e.path, "/")
			if e.verb() != method || len(names) != len(parts) {
				continue
			}
			same := true
			for n, name := range names {
				same = same && (name == parts[n] || strings.HasPrefix(name, "{") && parts[n] != "")
			}
			if same {
				return e
			}
		}
	}
	return nil
}

// check returns how an answer violates the document, nil if it does not.
func (k *contract) check(method string, u *url.URL, status int, kind string, body []byte) error {
	if status == http.StatusNotModified || status == http.StatusFound || method == http.MethodHead {
		return nil // without a body
	}
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return fmt.Errorf("content type %q: %w", kind, err)
	}
	e := find(method, u)
	if e == nil {
		if status < http.StatusBadRequest {
			return nil // a file of the page, or a document
		}
		if media != fiber.MIMEApplicationJSON {
			return fmt.Errorf("content type %q of an error", kind)
		}
		return k.holds("/components/schemas/ErrorAnswer", body)
	}
	at := "/paths/" + pointer(e.path) + "/" + strings.ToLower(e.verb()) + "/responses/" + strconv.Itoa(status)
	if k.at(at) == nil {
		if status < http.StatusBadRequest {
			return fmt.Errorf("%s %s: status %d", method, e.path, status)
		}
		at = "/components/responses/Failure"
	}
	if k.at(at+"/content/"+pointer(media)) == nil {
		return fmt.Errorf("%s %s: status %d with content type %q", method, e.path, status, kind)
	}
	if media != fiber.MIMEApplicationJSON {
		return nil
	}
	return k.holds(at+"/content/"+pointer(media)+"/schema", body)
}

// checkTaken returns how a body that the portal accepted violates the document.
func (k *contract) checkTaken(method string, u *url.URL, body []byte) error {
	e := find(method, u)
	if e == nil || len(body) == 0 && e.verb() == http.MethodDelete { // it may be empty
		return nil
	}
	return k.holds("/paths/"+pointer(e.path)+"/"+strings.ToLower(e.verb())+"/requestBody/content/application~1json/schema", body)
}

// pointer escapes a name for a JSON pointer.
func pointer(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// at returns the part of the document at a JSON pointer, nil if there is none.
func (k *contract) at(ptr string) any {
	var v any = k.doc
	for name := range strings.SplitSeq(strings.TrimPrefix(ptr, "/"), "/") {
		m, _ := v.(map[string]any)
		if v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]; v == nil {
			return nil
		}
	}
	return v
}

// compile returns the schema at a JSON pointer. All tests share the compiler.
func (k *contract) compile(ptr string) (*jsonschema.Schema, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.compiler.Compile("openapi.json#" + escaped(ptr))
}

// holds validates JSON against the schema at a JSON pointer.
func (k *contract) holds(ptr string, body []byte) error {
	schema, err := k.compile(ptr)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// escaped makes the fragment of an address of a JSON pointer.
func escaped(ptr string) string { return (&url.URL{Path: ptr}).EscapedPath() }
