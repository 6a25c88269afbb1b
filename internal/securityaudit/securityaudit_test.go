package securityaudit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/securityaudit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written are two chains, of which the second begins behind the second record of the first.
func written() [][]byte {
	var out [][]byte
	one := securityaudit.NewChain("")
	add := func(c *securityaudit.Chain, about string) string {
		r := c.Link(securityaudit.Record{Time: 1, Who: "李工 <&>", What: securityaudit.UserAdd, About: about, Outcome: securityaudit.Done, Program: "portal"})
		out = append(out, r.Encode())
		return r.Hash
	}
	add(one, "a")
	two := securityaudit.NewChain(add(one, "b"))
	add(two, "c")
	add(one, "d")
	add(two, "e")
	return out
}

func verify(records [][]byte) (faults []string, v securityaudit.Verifier) {
	for i, data := range records {
		v.Add(int64(i), data)
	}
	v.End(int64(len(records)))
	for _, f := range v.Faults() {
		faults = append(faults, f.Text)
	}
	return faults, v
}

func TestWhatWasWrittenHolds(t *testing.T) {
	faults, v := verify(written())
	require.Empty(t, faults)
	records, chains := v.Counts()
	require.Equal(t, []int{5, 2}, []int{records, chains})
	faults, _ = verify(nil)
	require.Empty(t, faults)
}

func TestEveryChangeIsFound(t *testing.T) {
	all := written()
	for at, data := range all {
		for i := range data {
			changed := slices.Clone(all)
			changed[at] = bytes.Clone(data)
			changed[at][i] ^= 1
			faults, v := verify(changed)
			require.NotEmpty(t, faults, "byte %d of record %d", i, at)
			require.EqualValues(t, at, v.Faults()[0].Offset, "byte %d of record %d: %v", i, at, faults)
		}
		further := slices.Clone(all)
		further[at] = append(bytes.TrimSuffix(bytes.Clone(data), []byte("}")), []byte(`,"x":1}`)...)
		faults, _ := verify(further)
		require.NotEmpty(t, faults, "a field more")
	}
}

func TestEveryRecordThatIsMissingOrDoubledIsFound(t *testing.T) {
	all := written()
	for at := range all {
		faults, _ := verify(slices.Delete(slices.Clone(all), at, at+1))
		if last := at == 3 || at == 4; last {
			require.Empty(t, faults, "the last record of a chain that none began behind")
		} else {
			require.NotEmpty(t, faults, "record %d is missing", at)
		}
		var v securityaudit.Verifier // as Kafka shows it: the offset is missing, too
		for i, data := range all {
			if i != at {
				v.Add(int64(i), data)
			}
		}
		v.End(int64(len(all)))
		require.NotEmpty(t, v.Faults(), "offset %d is missing", at)
		require.EqualValues(t, at, v.Faults()[0].Offset)
		doubled := append(slices.Clone(all), all[at])
		faults, _ = verify(doubled)
		require.NotEmpty(t, faults, "record %d is there twice", at)
	}
	swapped := slices.Clone(all)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	faults, _ := verify(swapped)
	require.NotEmpty(t, faults)
}

// TestAForgedRecordDoesNotFitIn has one record written again, with a right hash.
func TestAForgedRecordDoesNotFitIn(t *testing.T) {
	all := written()
	r, err := securityaudit.Decode(all[1])
	require.NoError(t, err)
	r.Who = "nobody"
	h := sha256.Sum256(r.Canonical())
	r.Hash = hex.EncodeToString(h[:])
	all[1] = r.Encode()
	faults, _ := verify(all)
	require.Len(t, faults, 2, "%v", faults)
	require.Contains(t, faults[0], "began behind a record that is missing or was changed")
	require.Contains(t, faults[1], "not behind the one that it was written behind")
}

// TestCanonicalForm keeps what other readers compute.
func TestCanonicalForm(t *testing.T) {
	c := securityaudit.NewChain("00ff")
	r := c.Link(securityaudit.Record{Time: 1, Who: "a<b>&", What: securityaudit.SignIn, Outcome: securityaudit.Failed, Count: 3, Program: "portal"})
	want := `{"time":1,"who":"a<b>&","what":"sign_in","outcome":"failed","count":3,"program":"portal","chain":"` + r.Chain + `","number":1,"previous":"00ff"}`
	require.Equal(t, want, string(r.Canonical()))
	h := sha256.Sum256([]byte(want))
	require.Equal(t, hex.EncodeToString(h[:]), r.Hash)
	require.Equal(t, strings.TrimSuffix(want, "}")+`,"hash":"`+r.Hash+`"}`, string(r.Encode()))
}

func TestTextsOfStrangersAreBounded(t *testing.T) {
	c := securityaudit.NewChain("")
	r := c.Link(securityaudit.Record{What: securityaudit.SignIn, Who: strings.Repeat("李", 1000), Reason: "\xff", Outcome: securityaudit.Failed})
	require.LessOrEqual(t, len(r.Who), 512)
	data := r.Encode()
	require.Less(t, len(data), securityaudit.LongestRecord)
	faults, _ := verify([][]byte{data})
	require.Empty(t, faults)
}

func TestOutcomesAndEventsAreDifferent(t *testing.T) {
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(securityaudit.Whats()))), len(securityaudit.Whats()))
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(securityaudit.Outcomes()))), len(securityaudit.Outcomes()))
}

func FuzzVerifier(f *testing.F) {
	for _, data := range written() {
		f.Add(data)
	}
	f.Add([]byte(`{"what":"x","chain":"c","number":1,"hash":"h"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v securityaudit.Verifier
		v.Add(0, data)
		v.Add(1, data)
		require.NotEmpty(t, v.Faults(), "at least it is there twice")
	})
}

func wrong(at int64, who, address string) securityaudit.Record {
	return securityaudit.Record{Time: at, Who: who, Address: address, What: securityaudit.SignIn, Outcome: securityaudit.Failed}
}

// TestAFloodIsOneRecordAMinute is 1,000 wrong passwords, and some of another name.
func TestAFloodIsOneRecordAMinute(t *testing.T) {
	var s securityaudit.Sum
	var out []securityaudit.Record
	for i := range int64(1000) {
		out = append(out, s.Add(wrong(i, "li", "192.0.2.1"))...)
	}
	out = append(out, s.Add(wrong(1000, "li", "192.0.2.2"))...)
	require.Len(t, out, 2, "the first of each address is written at once")
	require.Empty(t, s.Due(59_999, false))
	due := s.Due(60_000, false)
	require.Len(t, due, 1)
	require.Equal(t, []any{"li", 999, int64(999)}, []any{due[0].Who, due[0].Count, due[0].Time})
	require.Empty(t, s.Add(wrong(60_001, "li", "192.0.2.1")), "it goes on")
	require.Len(t, s.Due(60_002, true), 1, "at the end of the program")
	require.Empty(t, s.Due(200_000, false))
	require.Zero(t, s.Counting())
	require.Len(t, s.Add(wrong(200_000, "li", "192.0.2.1")), 1)
	done := securityaudit.Record{What: securityaudit.SignIn, Outcome: securityaudit.Done}
	require.Len(t, append(s.Add(done), s.Add(done)...), 2, "what was right is written one by one")
}

func TestManyKindsAreCountedTogether(t *testing.T) {
	var s securityaudit.Sum
	total := 0
	for i := range int64(10_000) {
		for _, r := range s.Add(wrong(i, "li", strings.Repeat("x", int(i)))) {
			total += max(r.Count, 1)
		}
	}
	require.Less(t, s.Counting(), 300)
	require.Less(t, total, 300)
	for _, r := range s.Due(100_000, false) {
		require.Equal(t, securityaudit.Others, r.Detail)
		require.Empty(t, r.Who)
		total += r.Count
	}
	require.Equal(t, 10_000, total, "none is forgotten")
}

func TestClockThatIsSetBackHoldsNothingBack(t *testing.T) {
	var s securityaudit.Sum
	s.Add(wrong(100_000, "li", ""))
	s.Add(wrong(100_001, "li", ""))
	require.Len(t, s.Due(5, false), 1)
}

// paper is a Writer.
type paper struct {
	err     error
	records []securityaudit.Record
}

func (p *paper) Write(_ context.Context, r securityaudit.Record) error {
	p.records = append(p.records, r)
	return p.err
}

func (p *paper) Note(r securityaudit.Record) { p.records = append(p.records, r) }

func TestNoChangeWithoutItsRecord(t *testing.T) {
	var p paper
	what := securityaudit.Record{What: securityaudit.UserAdd, About: "li"}
	require.NoError(t, securityaudit.Change(t.Context(), &p, what, func(*securityaudit.Record) error { return nil }))
	taken := errors.New("taken")
	require.ErrorIs(t, securityaudit.Change(t.Context(), &p, what, func(*securityaudit.Record) error { return taken }), taken)
	var outcomes []securityaudit.Outcome
	for _, r := range p.records {
		outcomes = append(outcomes, r.Outcome)
	}
	require.Equal(t, []securityaudit.Outcome{securityaudit.Begun, securityaudit.Done, securityaudit.Begun, securityaudit.Failed}, outcomes)
	require.Equal(t, "taken", p.records[3].Reason)
	p.err = errors.New("no kafka")
	err := securityaudit.Change(t.Context(), &p, what, func(*securityaudit.Record) error { panic("it must not be made") })
	require.ErrorIs(t, err, securityaudit.ErrUnavailable)
	require.ErrorIs(t, err, p.err)
}
