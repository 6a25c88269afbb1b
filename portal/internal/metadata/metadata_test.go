package metadata

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shared(name string) Scope { return Scope{Scope: ScopeShared, Name: name} }

func documents() map[string]Document {
	return map[string]Document{
		"view":        &View{Scope: Scope{Scope: ScopeOwn, Owner: "李工", Name: "泵"}, Page: "device", Subject: "d1", Query: "range=7d&q=%E6%B3%B5"},
		"dashboard":   &Dashboard{Scope: shared("x"), Tiles: []Tile{{Type: "chart", Title: "<b>", Query: "a=1", Width: 12}}},
		"shift note":  &ShiftNote{Building: "A栋", ShiftStart: 1, Text: "a\nb\tc", Priority: true, Replaces: "n1", Signatures: []Signature{{"王工", 2}}},
		"device note": &DeviceNote{DeviceID: "d1", Text: strings.Repeat("x", MaxNote)},
		"facts":       &Facts{DeviceID: "d1", Place: "冷冻站", ExpectedIntervalS: MaxIntervalS},
	}
}

func TestChangesSurviveTheTopic(t *testing.T) {
	for name, doc := range documents() {
		c, err := New("n1", doc)
		require.NoError(t, err, name)
		c.ID, c.Version, c.At, c.By, c.Deleted = "c1", 3, 4, "李工", true
		raw, err := json.Marshal(c)
		require.NoError(t, err)
		got, err := Parse(raw)
		require.NoError(t, err, name)
		require.Equal(t, c, got)
		require.Equal(t, doc, got.Doc())
	}
}

func TestMalformedChangesAreRefused(t *testing.T) {
	for _, raw := range []string{
		``, `null`, `{}`, `[]`, `{"change":"c","kind":"view","document":"d","version":0,"by":"a","value":{}}`,
		`{"change":"c","kind":"view","document":"a b","version":1,"by":"a","value":{}}`, `{"change":"c","kind":"pie","document":"d","version":1,"by":"a","value":{}}`,
		`{"change":"c","kind":"view","document":"d","version":1,"by":"a"}`, `{"change":"c","kind":"view","document":"d","version":1,"by":"a","value":[]}`,
		`{"change":"c","kind":"view","document":"device.device.d","version":1,"by":"a","value":{}}`,
	} {
		_, err := Parse([]byte(raw))
		require.Error(t, err, raw)
	}
}

func TestLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		doc  Document
		want string // "": it is kept
	}{
		"longest text":    {&ShiftNote{Text: long(MaxShiftNote)}, ""},
		"too long a text": {&ShiftNote{Text: long(MaxShiftNote + 1)}, "text: want a text of 1 to 4096 bytes in UTF-8 without control characters, found 4097 bytes"},
		"not UTF-8":       {&ShiftNote{Text: "a\xff"}, "text: want"},
		"no text":         {&DeviceNote{DeviceID: "d", Text: " "}, "text: want"},
		"longest name":    {&View{Scope: shared(long(MaxName)), Page: "alarms"}, ""},
		"name too long":   {&View{Scope: shared(long(MaxName + 1)), Page: "alarms"}, "name: want"},
		"longest query":   {&View{Scope: shared("a"), Page: "alarms", Query: long(MaxQuery)}, ""},
		"query too long":  {&View{Scope: shared("a"), Page: "alarms", Query: long(MaxQuery + 1)}, "query: want"},
		"no owner":        {&View{Scope: Scope{Scope: ScopeOwn, Name: "a"}, Page: "alarms"}, "owner: want"},
		"shared owner":    {&View{Scope: Scope{Scope: ScopeShared, Owner: "a", Name: "a"}, Page: "alarms"}, "owner: want"},
		"page":            {&View{Scope: shared("a"), Page: "../alarms"}, "page: want overview, devices"},
		"height":          {&Dashboard{Scope: shared("a"), Tiles: []Tile{{Type: "text", Height: 13}}}, "tiles/0/height: maximum: got 13, want 12"},
		"many signatures": {&ShiftNote{Text: "x", Signatures: make([]Signature, MaxSignatures+1)}, "signatures: want"},
		"interval":        {&Facts{DeviceID: "d", ExpectedIntervalS: MaxIntervalS + 1}, "expected_interval_s: want"},
		"place":           {&Facts{DeviceID: "d", Place: "a\nb"}, "place: want"},
		"device":          {&Facts{DeviceID: "a b"}, "device_id: want"},
	} {
		_, err := New("n", c.doc)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := New("n", &Dashboard{Scope: shared("a"), Tiles: []Tile{}})
	require.NoError(t, err)
	big := &Dashboard{Scope: shared("a")}
	for range 31 {
		big.Tiles = append(big.Tiles, Tile{Type: "text", Text: long(2000)})
	}
	_, err = New("n", big)
	require.ErrorContains(t, err, "at most 61440 bytes")
}

func FuzzParse(f *testing.F) {
	for _, doc := range documents() {
		c, err := New("n1", doc)
		require.NoError(f, err)
		c.ID, c.Version, c.By = "c", 1, "a"
		raw, err := json.Marshal(c)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		require.NotNil(t, c.Doc())
		require.Equal(t, c.Kind, c.Doc().Kind())
		_ = c.Doc().Index()
	})
}
