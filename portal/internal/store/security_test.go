package store

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/securityaudit"
)

var securityTopic = Topic{"security-audit", "one"}

// securityRecord returns a record of the security audit as it is read.
func securityRecord(tb testing.TB, c *securityaudit.Chain, offset int64, r securityaudit.Record) Record {
	tb.Helper()
	r = c.Link(r)
	raw := r.Encode()
	read, err := securityaudit.Decode(raw)
	require.NoError(tb, err)
	return Record{Offset: offset, Security: read, Value: raw}
}

func everySecurity(tb testing.TB, s *Store, q *SecurityQuery) (all []*SecurityRecord) {
	tb.Helper()
	require.NoError(tb, s.EachSecurity(tb.Context(), q, func(r *SecurityRecord) error {
		all = append(all, r)
		return nil
	}))
	return all
}

func offsets(list []*SecurityRecord) []int64 {
	out := []int64{}
	for _, r := range list {
		out = append(out, r.Offset)
	}
	return out
}

// securityOnce has two portals and one that starts again read the same records, and deletes the old ones.
func securityOnce(t *testing.T, o Options) {
	t.Helper()
	now := time.Now()
	reg := prometheus.NewRegistry()
	second := o
	o.Registry = reg
	s, _ := open(t, o)
	other, _ := open(t, second)
	var records []Record
	c := securityaudit.NewChain("")
	for i := range int64(1200) {
		records = append(records, securityRecord(t, c, i, securityaudit.Record{
			Time: now.Add(-time.Duration(i) * time.Hour).UnixMilli(), Who: "a\x00'\"%_!?$1\u2028李", What: securityaudit.SignIn, Outcome: securityaudit.Done, Reason: "\x00", Program: "portal",
		}))
	}
	records = append(records, Record{Offset: 1200}) // no record
	for _, portal := range []*Store{s, other, s} {
		_, err := portal.Positions(t.Context(), securityTopic)
		require.NoError(t, err)
		for part := range slices.Chunk(records, 500) {
			require.NoError(t, portal.Write(t.Context(), securityTopic, part))
		}
	}
	require.NoError(t, s.Write(t.Context(), securityTopic, records[:7]), "an old position does not come back")
	positions, err := other.Positions(t.Context(), securityTopic)
	require.NoError(t, err)
	require.Equal(t, map[int32]int64{0: 1201}, positions)
	l, err := other.Security(t.Context(), &SecurityQuery{Who: records[0].Security.Who}, Page{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []any{Counted, true}, []any{l.Total, l.More})
	require.Equal(t, []*SecurityRecord{{*records[0].Security, 0}, {*records[1].Security, 1}}, l.Items)
	require.Len(t, everySecurity(t, s, &SecurityQuery{}), 1200)

	s.retention = 100*time.Hour - time.Minute
	require.NoError(t, s.Trim(t.Context(), now))
	require.Len(t, everySecurity(t, s, &SecurityQuery{}), 100)
	require.Equal(t, 1100, counted(t, reg, "portal_store_deleted_total", "security"))
	require.NoError(t, s.Write(t.Context(), securityTopic, records[:500]), "Kafka has them still")
	require.Len(t, everySecurity(t, s, &SecurityQuery{}), 100)
}

func securityQuestions(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	_, err := s.Positions(t.Context(), securityTopic)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(5, 6))
	const start, span = 1_700_000_000_000, 20 * dayMS
	whats, outcomes, programs := []string{"sign_in", "user_change", "command"}, []string{"done", "failed", "refused"}, []string{"portal", "bridge"}
	c := securityaudit.NewChain("")
	var records []Record
	for i := range int64(2000) {
		records = append(records, securityRecord(t, c, i, securityaudit.Record{
			Time: start + r.Int64N(span)/3_600_000*3_600_000, Who: pick(r, authors...), What: securityaudit.What(whats[r.IntN(3)]), About: pick(r, authors...),
			Outcome: securityaudit.Outcome(outcomes[r.IntN(3)]), Program: programs[r.IntN(2)],
		}))
	}
	for part := range slices.Chunk(records, 500) {
		require.NoError(t, s.Write(t.Context(), securityTopic, part))
	}
	slices.SortFunc(records, func(a, b Record) int {
		return -cmp.Or(cmp.Compare(a.Security.Time, b.Security.Time), cmp.Compare(a.Offset, b.Offset))
	})
	matched := 0
	for n := range questions {
		q := SecurityQuery{Who: pick(r, authors...), About: pick(r, authors...), Program: pick(r, programs...), OldestFirst: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			q.Whats = whats[r.IntN(2):]
		}
		if r.IntN(3) == 0 {
			q.Outcomes = outcomes[:1+r.IntN(2)]
		}
		if r.IntN(3) == 0 {
			q.From = start + r.Int64N(span)
		}
		if r.IntN(3) == 0 {
			q.To = start + r.Int64N(span)/3_600_000*3_600_000
		}
		want := []int64{}
		for _, x := range records {
			e := x.Security
			same := func(want, v string) bool { return want == "" || want == v }
			among := func(want []string, v string) bool { return len(want) == 0 || slices.Contains(want, v) }
			if same(q.Who, e.Who) && same(q.About, e.About) && same(q.Program, e.Program) && among(q.Whats, string(e.What)) && among(q.Outcomes, string(e.Outcome)) &&
				e.Time >= q.From && (q.To == 0 || e.Time < q.To) {
				want = append(want, x.Offset)
			}
		}
		matched += len(want)
		if n%10 == 0 {
			require.Equal(t, want, offsets(everySecurity(t, s, &q)), "%+v", q)
		}
		if q.OldestFirst {
			slices.Reverse(want)
		}
		p := page(r)
		l, err := s.Security(t.Context(), &q, p)
		require.NoError(t, err)
		require.Equal(t, partOf(want, p), offsets(l.Items), "%+v %+v", q, p)
		require.Equal(t, min(len(want), Counted), l.Total)
	}
	require.Greater(t, matched, 15*questions, "the questions found something")
}
