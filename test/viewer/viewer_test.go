package viewer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for text, want := range map[string]Message{
		`{"type":"device_data","payload":{"a":{}}}`:    {Type: TypeReading, Payload: []byte(`{"a":{}}`)},
		`{ "type":"device_data","payload":{"a":1} }`:   {Type: TypeReading, Payload: []byte(`{"a":1}`)},
		`{"type":"alert","payload":{}}`:                {Type: TypeAlert, Payload: []byte(`{}`)},
		`{"type":"error","code":"bad","message":"no"}`: {Type: "error", Code: "bad", Message: "no"},
	} {
		got, err := parse([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := parse([]byte("x"))
	require.Error(t, err)
}

// TestConversation talks to a server that echoes each message as an alert.
func TestConversation(t *testing.T) {
	up := websocket.Upgrader{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // the client closes first
		for {
			_, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			if c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"alert","payload":%s}`, b)) != nil {
				return
			}
		}
	}))
	defer srv.Close()
	v, err := Dial(t.Context(), strings.Replace(srv.URL, "http", "ws", 1))
	require.NoError(t, err)
	for _, c := range []struct {
		send func() error
		want string
	}{
		{v.SubscribeAll, `{"type":"subscribe_all"}`},
		{func() error { return v.Subscribe("a", "b") }, `{"type":"subscribe","device_ids":["a","b"]}`},
		{func() error { return v.Unsubscribe("a") }, `{"type":"unsubscribe","device_ids":["a"]}`},
	} {
		require.NoError(t, c.send())
		m, err := v.Read()
		require.NoError(t, err)
		require.Equal(t, c.want, string(m.Payload))
	}
	require.NoError(t, v.Close())
	_, err = v.Read()
	require.Error(t, err)
	_, err = Dial(t.Context(), "ws://127.0.0.1:1/")
	require.Error(t, err)
}
