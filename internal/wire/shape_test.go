package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// scrambler writes a JSON tree in a form that means the same: keys in any order,
// white space, escapes, and unknown fields in between.
type scrambler struct {
	*rand.Rand
	out bytes.Buffer
}

func (s *scrambler) space() {
	for s.IntN(3) == 0 {
		s.out.WriteByte(" \t\r\n"[s.IntN(4)])
	}
}

func (s *scrambler) str(v string) {
	s.out.WriteByte('"')
	for _, r := range v {
		switch {
		case r < ' ' || r == '"' || r == '\\' || r < 0x10000 && s.IntN(4) == 0:
			fmt.Fprintf(&s.out, `\u%04x`, r)
		case r >= 0x10000 && s.IntN(2) == 0:
			fmt.Fprintf(&s.out, `\u%04X\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			s.out.WriteRune(r)
		}
	}
	s.out.WriteByte('"')
}

func (s *scrambler) value(v any) {
	s.space()
	switch v := v.(type) {
	case string:
		s.str(v)
	case map[string]any:
		s.object(v)
	case []any:
		s.out.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				s.out.WriteByte(',')
			}
			s.value(e)
		}
		s.out.WriteByte(']')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		s.out.Write(text)
	}
	s.space()
}

func (s *scrambler) object(members map[string]any) {
	for s.IntN(3) == 0 {
		key := fmt.Sprintf("Unknown_%d", s.IntN(1000))
		members[key] = []any{1.5, nil, true, "栋\"\\", map[string]any{"value": []any{}}}[s.IntN(5)]
	}
	keys := make([]string, 0, len(members))
	for key := range members {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	s.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	s.out.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			s.out.WriteByte(',')
		}
		s.space()
		s.str(key)
		s.space()
		s.out.WriteByte(':')
		s.value(members[key])
	}
	s.out.WriteByte('}')
}

// TestDecodeAnyShape writes readings in every form that JSON allows.
func TestDecodeAnyShape(t *testing.T) {
	s := scrambler{Rand: rand.New(rand.NewPCG(15, 16))}
	for range 500 {
		want := randomReading(s.Rand)
		d := json.NewDecoder(bytes.NewReader(wire.AppendReading(nil, &want)))
		d.UseNumber()
		var tree any
		require.NoError(t, d.Decode(&tree))
		s.out.Reset()
		s.value(tree)
		var got telemetry.Reading
		require.NoError(t, wire.DecodeReading(s.out.Bytes(), &got, nil), s.out.String())
		got.Flaws = nil // unknown fields of wrong types
		require.Equal(t, sorted(want), sorted(got), s.out.String())
		require.True(t, checkDecode(t, s.out.Bytes()))
		checkRewrite(t, s.out.Bytes(), []telemetry.Sensor{{Status: "high"}, {}, {Status: "\n", Unit: "u", Number: -1.5}, {Unit: "栋"}})
	}
}
