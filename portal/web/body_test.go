package web

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBodiesAreReadStrictly(t *testing.T) {
	type point struct {
		X float64  `json:"x"`
		Y *float64 `json:"at,omitempty"`
	}
	type common struct {
		By string `json:"by"`
	}
	type body struct {
		common

		Name   *string         `json:"name"`
		Points []point         `json:"points"`
		First  *point          `json:"first"`
		Raw    json.RawMessage `json:"raw"`
	}
	for data, want := range map[string]string{
		``: "", `{}`: "", ` {"by":"a"} `: "", `{"name":null,"first":null}`: "", `{"points":[{"x":1},{}],"first":{"x":2},"raw":{"any":null}}`: "",
		`null`: "bad_json ", ` null `: "bad_json ", `3`: "bad_json ", `[]`: "bad_json ", `{`: "bad_json ", `{} {}`: "bad_json ",
		`{"by":null}`: "bad_field by", `{"by":""}`: "bad_field by", `{"by":1}`: "bad_field by", `{"first":{"x":"1"}}`: "bad_field first.x", `{"By":"a"}`: "bad_field By", `{"common":{}}`: "bad_field common",
		`{"points":null}`: "bad_field points", `{"points":[{"x":1},null]}`: "bad_field points[1]", `{"points":[{"x":null}]}`: "bad_field points[0].x",
		`{"points":[{"y":1}]}`: "bad_field points[0].y", `{"first":{"at":null}}`: "bad_field first.at", `{"first":{"x":1,"z":2}}`: "bad_field first.z", `{"raw":null}`: "bad_field raw",
	} {
		err := decode([]byte(data), new(body))
		if want == "" {
			require.NoError(t, err, data)
			continue
		}
		e, ok := errors.AsType[*apiError](err)
		require.True(t, ok, "%s: %v", data, err)
		require.Equal(t, want, e.body.Code+" "+e.body.Field, data)
	}
}
