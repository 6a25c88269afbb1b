// Package viewer is a WebSocket client for the portal's simple dialect, as in the JavaScript
// sample, for end-to-end tests and load tests. Read blocks until a
// message arrives or the connection ends.
package viewer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// Message is one message from the portal. Payload points into a buffer that is valid
// until the next Read.
type Message struct {
	Type    string          `json:"type"` // device_data, alert or error
	Payload json.RawMessage `json:"payload"`
	Code    string          `json:"code"`
	Message string          `json:"message"`
}

// Types of messages.
const (
	TypeReading = "device_data"
	TypeAlert   = "alert"
)

// Viewer is one connection. One goroutine may read while another one sends.
type Viewer struct {
	conn *websocket.Conn
	buf  bytes.Buffer
	send sync.Mutex
}

// Dial connects to the portal's WebSocket.
func Dial(ctx context.Context, url string) (*Viewer, error) {
	d := websocket.Dialer{HandshakeTimeout: 5 * time.Second, ReadBufferSize: 64 << 10}
	conn, resp, err := d.DialContext(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	return &Viewer{conn: conn}, nil
}

// Close ends the connection.
func (v *Viewer) Close() error { return v.conn.Close() }

// SubscribeAll subscribes to every device and all alerts.
func (v *Viewer) SubscribeAll() error { return v.Send(`{"type":"subscribe_all"}`) }

// Subscribe subscribes to some devices.
func (v *Viewer) Subscribe(ids ...string) error { return v.request("subscribe", ids) }

// Unsubscribe cancels the subscription to some devices.
func (v *Viewer) Unsubscribe(ids ...string) error { return v.request("unsubscribe", ids) }

func (v *Viewer) request(kind string, ids []string) error {
	b, err := json.Marshal(struct {
		Type      string   `json:"type"`
		DeviceIDs []string `json:"device_ids"`
	}{kind, ids})
	if err != nil {
		return err
	}
	return v.Send(string(b))
}

// Send sends any text.
func (v *Viewer) Send(text string) error {
	v.send.Lock()
	defer v.send.Unlock()
	return v.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// Read returns the next message. After an error the connection is unusable.
func (v *Viewer) Read() (Message, error) {
	_, r, err := v.conn.NextReader()
	if err != nil {
		return Message{}, err
	}
	v.buf.Reset()
	if _, err := v.buf.ReadFrom(r); err != nil {
		return Message{}, err
	}
	return parse(v.buf.Bytes())
}

var readingPrefix = []byte(`{"type":"` + TypeReading + `","payload":`)

// parse has a fast path for readings, the bulk of the messages.
func parse(raw []byte) (Message, error) {
	if rest, ok := bytes.CutPrefix(raw, readingPrefix); ok {
		if payload, ok := bytes.CutSuffix(bytes.TrimRight(rest, " \n"), []byte("}")); ok {
			return Message{Type: TypeReading, Payload: payload}, nil
		}
	}
	var m Message
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("message %.200q: %w", raw, err)
	}
	return m, nil
}
