package access

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
)

const (
	now    = int64(1_800_000_000_000)
	hour   = int64(3_600_000)
	secret = "a secret"
)

func pair(tb testing.TB) (nkeys.KeyPair, string) {
	tb.Helper()
	kp, err := nkeys.CreateUser()
	require.NoError(tb, err)
	public, err := kp.PublicKey()
	require.NoError(tb, err)
	return kp, public
}

func TestClaimSurvivesBeingCopied(t *testing.T) {
	c := Claim{Hub: "nats-leaf://hub:7422", Gateway: "gw-c", Building: "C栋", Secret: NewSecret()}
	got, err := ParseClaim(" " + c.String() + "\n")
	require.NoError(t, err)
	require.Equal(t, c, got)
	require.NotEqual(t, c.Secret, NewSecret())
	raw, err := base64.RawURLEncoding.DecodeString(c.Secret)
	require.NoError(t, err)
	require.Len(t, raw, 20)
}

func TestBadClaimSaysWhatIsWrongAndIsNotQuoted(t *testing.T) {
	good := Claim{Hub: "nats-leaf://hub:7422", Gateway: "gw-c", Secret: "s3cr3t"}
	text := good.String()
	with := func(change func(*Claim)) string { c := good; change(&c); return c.String() }
	for name, tt := range map[string]struct{ text, want string }{
		"empty":             {"", "begins with iotc_"},
		"another secret":    {"iotd_" + text[5:], "begins with iotc_"},
		"endless":           {text + strings.Repeat("A", maxClaim), "begins with iotc_"},
		"cut":               {text[:len(text)-3], "copy it again"},
		"one character":     {text[:20] + flip(text[20]) + text[21:], "copy it again"},
		"no base64":         {text[:20] + "!" + text[21:], "copy it again"},
		"only the prefix":   {"iotc_", "copy it again"},
		"no hub":            {with(func(c *Claim) { c.Hub = "hub" }), "its hub is no URL"},
		"hub with a secret": {with(func(c *Claim) { c.Hub = "nats-leaf://u:p@hub:1" }), "its hub is no URL"},
		"no gateway":        {with(func(c *Claim) { c.Gateway = "../x" }), "gateway id"},
		"no secret":         {with(func(c *Claim) { c.Secret = "" }), "no secret"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseClaim(tt.text)
			require.ErrorIs(t, err, ErrClaim)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "s3cr3t")
			if len(tt.text) > 20 {
				require.NotContains(t, err.Error(), tt.text[5:20])
			}
		})
	}
}

func flip(b byte) string {
	if b == 'A' {
		return "B"
	}
	return "A"
}

func TestWhoIsAdmitted(t *testing.T) {
	open := func(g Gateway) *Gateway { g.Claim = &Open{Hash: HashOf(secret), Until: now + hour}; return &g }
	enrolled := Gateway{ID: "gw-a", Keys: []Key{{Public: "K1"}}}
	for name, tt := range map[string]struct {
		g           *Gateway
		key, secret string
		err         error
	}{
		"no record":                   {nil, "K1", secret, ErrUnknown},
		"its key":                     {&enrolled, "K1", "", nil},
		"its key and a spent claim":   {&enrolled, "K1", secret, nil},
		"no key":                      {&enrolled, "", "", ErrNoKey},
		"no key but a claim":          {open(enrolled), "", secret, ErrNoKey},
		"another key":                 {&enrolled, "K2", "", ErrKey},
		"another key, spent claim":    {&enrolled, "K2", secret, ErrSpent},
		"another key, wrong claim":    {open(enrolled), "K2", "guess", ErrSpent},
		"another key, expired claim":  {&Gateway{Claim: &Open{Hash: HashOf(secret), Until: now}}, "K2", secret, ErrExpired},
		"revoked":                     {&Gateway{Keys: enrolled.Keys, Revoked: 1}, "K1", "", ErrRevoked},
		"revoked, with a claim":       {open(Gateway{Revoked: 1}), "K2", secret, ErrRevoked},
		"the old key after rotation":  {&Gateway{Keys: []Key{{Public: "K1", Until: now}, {Public: "K2"}}}, "K1", "", ErrKey},
		"the old key while it holds":  {&Gateway{Keys: []Key{{Public: "K1", Until: now + 1}, {Public: "K2"}}}, "K1", "", nil},
		"the new key":                 {&Gateway{Keys: []Key{{Public: "K1", Until: now}, {Public: "K2"}}}, "K2", "", nil},
		"a gateway that has no claim": {&Gateway{}, "K1", secret, ErrSpent},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := tt.g.Admit(tt.key, tt.secret, now)
			require.ErrorIs(t, err, tt.err)
			require.Nil(t, next, "no claim was used")
		})
	}
}

func TestClaimIsSpentByItsUse(t *testing.T) {
	g := &Gateway{ID: "gw-a", Building: "A栋", Keys: []Key{{Public: "K1"}}, Claim: &Open{Hash: HashOf(secret), Until: now + hour}}
	next, err := g.Admit("K2", secret, now)
	require.NoError(t, err)
	require.Equal(t, &Gateway{ID: "gw-a", Building: "A栋", Keys: []Key{{Public: "K2", Added: now}}, Changed: now}, next)
	require.NotNil(t, g.Claim, "the record itself is left as it is")
	_, err = next.Admit("K3", secret, now)
	require.ErrorIs(t, err, ErrSpent)
	_, err = next.Admit("K1", "", now)
	require.ErrorIs(t, err, ErrKey, "the key of before")
}

// TestAClockThatIsSetLetsNoRevokedGatewayIn: not with its key, nor with a claim that was used.
func TestAClockThatIsSetLetsNoRevokedGatewayIn(t *testing.T) {
	g := &Gateway{ID: "gw-a", Keys: []Key{{Public: "K1"}}, Claim: &Open{Hash: HashOf(secret), Until: now + hour}}
	used, err := g.Admit("K2", secret, now)
	require.NoError(t, err)
	revoked := *used
	revoked.Revoked = now
	for _, at := range []int64{now - hour, now, now + hour} {
		_, err := revoked.Admit("K2", "", at)
		require.ErrorIs(t, err, ErrRevoked)
		_, err = used.Admit("K3", secret, at)
		require.ErrorIs(t, err, ErrSpent)
	}
}

func TestOldKeyHoldsForADayWhileItIsRotated(t *testing.T) {
	g := &Gateway{ID: "gw-a", Keys: []Key{{Public: "K0", Until: now}, {Public: "K1"}}, Claim: &Open{Hash: HashOf(secret), Until: now + hour, KeepFor: 24 * hour}}
	next, err := g.Admit("K2", secret, now)
	require.NoError(t, err)
	require.Equal(t, []Key{{Public: "K1", Until: now + 24*hour}, {Public: "K2", Added: now}}, next.Keys)
}

func TestRecordsArePassedOn(t *testing.T) {
	_, public := pair(t)
	g := &Gateway{ID: "gw-a", Building: "A栋", Keys: []Key{{Public: public, Added: 1, Until: 2}}, Claim: &Open{Hash: HashOf("x"), Until: 3, KeepFor: 4}, Revoked: 5, Changed: 6, By: "anna"}
	got, err := DecodeGateway(g.Encode())
	require.NoError(t, err)
	require.Equal(t, g, got)
	c := &Client{Name: "portal", Role: RolePortal, Public: public, Revoked: 1, Changed: 2, By: "anna"}
	client, err := DecodeClient(c.Encode())
	require.NoError(t, err)
	require.Equal(t, c, client)
	id, ok := OfGatewayRecordKey(GatewayRecordKey("gw-a"))
	require.True(t, ok)
	require.Equal(t, "gw-a", id)
	_, ok = OfClientRecordKey(GatewayRecordKey("gw-a"))
	require.False(t, ok)
}

func TestBadRecordIsNone(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{}`, `{"id":"../x"}`, `{"id":"gw-a","keys":[{"public":"x"}]}`, `{"id":"gw-a","claim":{"hash":"AA=="}}`,
		`{"id":"gw-a","keys":[{},{},{}]}`, `{"id":"gw-a","building":"` + strings.Repeat("x", MaxRecord) + `"}`,
	} {
		_, err := DecodeGateway([]byte(text))
		require.ErrorIs(t, err, ErrNoRecord, "%.60s", text)
	}
	for _, text := range []string{``, `{}`, `{"name":"core","public":"x"}`, `{"name":"` + strings.Repeat("x", MaxRecord) + `"}`} {
		_, err := DecodeClient([]byte(text))
		require.ErrorIs(t, err, ErrNoRecord, "%.60s", text)
	}
}

func TestKeyIsProvedByASignatureOfThisNonce(t *testing.T) {
	kp, public := pair(t)
	_, other := pair(t)
	nonce := []byte("nonce of this connection")
	signature, err := kp.Sign(nonce)
	require.NoError(t, err)
	require.True(t, Proves(public, nonce, signature))
	require.False(t, Proves(public, []byte("nonce of an old one"), signature))
	require.False(t, Proves(other, nonce, signature))
	require.False(t, Proves("", nonce, signature))
	require.False(t, Proves(public, nonce, nil))
	require.False(t, Proves(public, nil, signature))
}

func FuzzClaim(f *testing.F) {
	f.Add(Claim{Hub: "nats-leaf://hub:7422", Gateway: "gw-c", Secret: "s"}.String())
	f.Add("iotc_")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseClaim(text)
		if err != nil {
			require.ErrorIs(t, err, ErrClaim)
			return
		}
		again, err := ParseClaim(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
