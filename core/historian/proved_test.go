package historian

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/history"
)

// TestHistoryNeedsTokenAndTLS, where they are set.
func TestHistoryNeedsTokenAndTLS(t *testing.T) {
	p := newPlant(t)
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, ca.Init(dir, []string{"127.0.0.1"}, time.Now()))
	o, text := p.options(t.TempDir())
	o.Config.Token = "the token"
	o.Config.TLSCertFile, o.Config.TLSKeyFile = filepath.Join(dir, "hub.pem"), filepath.Join(dir, "hub.key")
	h, err := New(o)
	require.NoError(t, err)
	right := history.Options{URL: "https://" + h.Addr(), Token: "the token", CAFile: filepath.Join(dir, "ca.pem")}
	r := p.runAs(h, text, right)
	_, err = r.client.Status(t.Context())
	require.NoError(t, err)

	for name, c := range map[string]struct {
		change func(*history.Options)
		says   string
	}{
		"no token":          {func(o *history.Options) { o.Token = "" }, "401"},
		"a wrong one":       {func(o *history.Options) { o.Token = "the tokens" }, "401"},
		"in clear":          {func(o *history.Options) { o.URL, o.CAFile = "http://"+h.Addr(), "" }, "HTTPS server"},
		"another authority": {func(o *history.Options) { o.CAFile = "" }, "certificate"},
	} {
		o := right
		c.change(&o)
		client, err := history.NewClient(o)
		require.NoError(t, err, name)
		_, err = client.Status(t.Context())
		require.ErrorContains(t, err, c.says, name)
		client.Close()
	}
}
