package suite

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTableReadsEverySeparatorAndTime(t *testing.T) {
	at := time.Date(2020, 3, 9, 10, 14, 33, 0, time.UTC).UnixMilli()
	for _, c := range []struct {
		name, text string
		at         int64
	}{
		{"semicolons", "datetime;a;b\n2020-03-09 10:14:33;1.5;-2\n", at},
		{"commas", "timestamp,a,b\n2020-03-09 10:14:33,1.5,-2\n", at},
		{"commas in a name among semicolons", "time;\"a,1\";b\n2020-03-09 10:14:33;1.5;-2\n", at},
		{"a byte order mark and Windows' line ends", "\ufeffdatetime;a;b\r\n2020-03-09 10:14:33;1.5;-2\r\n", at},
		{"a fraction", "t,a,b\n2020-03-09 10:14:33.250,1.5,-2\n", at + 250},
		{"RFC 3339", "t,a,b\n2020-03-09T10:14:33Z,1.5,-2\n", at},
		{"RFC 3339 in China with a fraction", "t,a,b\n2020-03-09T18:14:33.125+08:00,1.5,-2\n", at + 125},
		{"without a zone", "t,a,b\n2020-03-09T10:14:33,1.5,-2\n", at},
		{"minutes", "t,a,b\n2020-03-09 10:14,1.5,-2\n", at - 33_000},
		{"seconds", "t,a,b\n1583748873,1.5,-2\n", at},
		{"seconds with a fraction", "t,a,b\n1583748873.5,1.5,-2\n", at + 500},
		{"milliseconds", "t,a,b\n1583748873000,1.5,-2\n", at},
		{"spaces", "t , a , b\n 2020-03-09 10:14:33 , 1.5 , -2\n", at},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb, err := ReadTable("f.csv", strings.NewReader(c.text))
			require.NoError(t, err)
			assert.Equal(t, []int64{c.at}, tb.At)
			assert.Equal(t, [][]float64{{1.5, -2}}, tb.Rows)
			assert.Len(t, tb.Sensors, 2)
			assert.Nil(t, tb.Anomaly)
			assert.Nil(t, tb.Changepoint)
		})
	}
}

func TestTableKeepsLabelsFromTheDetector(t *testing.T) {
	tb, err := ReadTable("f.csv", strings.NewReader("t;anomaly;a;changepoint;b\n1583748873;0.0;1;1.0;2\n1583748874;1.0;3;0;4\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, tb.Sensors)
	assert.Equal(t, [][]float64{{1, 2}, {3, 4}}, tb.Rows)
	assert.Equal(t, []bool{false, true}, tb.Anomaly)
	assert.Equal(t, []bool{true, false}, tb.Changepoint)
}

func TestTableKnowsMissingValues(t *testing.T) {
	tb, err := ReadTable("f.csv", strings.NewReader("t,a,b,c,d\n1583748873,,NaN,null,true\n"))
	require.NoError(t, err)
	require.Len(t, tb.Rows, 1)
	for _, v := range tb.Rows[0][:3] {
		assert.True(t, math.IsNaN(v))
	}
	assert.InDelta(t, 1, tb.Rows[0][3], 0)
}

func TestTableNamesWhereItIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{"f.csv"}},
		{"no sensor", "t\n1\n", []string{"f.csv line 1"}},
		{"no number", "t,a,b\n1583748873,1,2\n1583748874,3,warm\n", []string{"f.csv line 3 column 3 (b)", `"warm"`}},
		{"no finite number", "t,a\n1583748873,Inf\n", []string{"f.csv line 2 column 2 (a)"}},
		{"no time", "when,a\nnoon,1\n", []string{"f.csv line 2 column 1 (when)", `"noon"`}},
		{"a cell too few", "t,a,b\n1583748873,1\n", []string{"f.csv", "line 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadTable("f.csv", strings.NewReader(c.text))
			require.ErrorIs(t, err, ErrTable)
			for _, w := range c.want {
				assert.ErrorContains(t, err, w)
			}
		})
	}
	_, err := ReadTableFile("/nowhere/f.csv")
	assert.ErrorContains(t, err, "/nowhere/f.csv")
}

func FuzzTable(f *testing.F) {
	for _, s := range []string{"t;a;anomaly\n2020-03-09 10:14:33;1;0\n", "t,a\n1,\n", "t,a\n\"1\n\",2\n", "\ufeff", "a;b\n-1e300;1e300\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tb, err := ReadTable("f", strings.NewReader(s))
		if err != nil {
			return
		}
		require.Len(t, tb.At, len(tb.Rows))
		for i := range tb.Rows {
			require.Len(t, tb.Rows[i], len(tb.Sensors))
		}
		if tb.Anomaly != nil {
			require.Len(t, tb.Anomaly, len(tb.Rows))
		}
	})
}
