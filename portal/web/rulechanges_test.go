package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/rulechange"
	"industrial-iot-monitor/internal/wire"
)

// ruleCore is a core with rules in YAML by their ids, which takes over what is approved.
type ruleCore struct {
	mu       sync.Mutex
	rules    map[string]string
	problems []wire.RuleProblem
	asked    []wire.RuleProposalRequest
	out      []wire.RuleOutOfForce
}

func (c *ruleCore) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *ruleCore) judge(q wire.RuleProposalRequest) wire.RuleProposalAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, q)
	a := wire.RuleProposalAnswer{Rule: q.Rule, Text: q.YAML, Before: c.rules[q.Rule], Version: "v1", Problems: c.problems}
	if q.Change != nil {
		a.Text = fmt.Sprintf("- id: %s\n  limit: %g\n", q.Rule, *q.Change.Limit)
	}
	if a.Rule == "" {
		a.Rule = "new"
	}
	a.Changed = q.Before != nil && *q.Before != a.Before || q.IfVersion != "" && q.IfVersion != a.Version
	return a
}

// startRules starts a portal with a core that has a rule.
func startRules(t *testing.T) (*rig, *ruleCore) {
	t.Helper()
	r, c := start(t, nil), &ruleCore{rules: map[string]string{"hot": "- id: hot\n  limit: 80\n"}}
	answers(r, wire.RuleProposalSubject, c.judge)
	answers(r, wire.RulesSubject, func(wire.RulesRequest) wire.RulesAnswer {
		c.mu.Lock()
		defer c.mu.Unlock()
		return wire.RulesAnswer{Version: "v1", Rules: []wire.Rule{{ID: "hot", Type: "hot", Severity: "high", Origin: wire.RuleOnPage, Source: wire.RuleInFile}}, Position: 1000, Problems: c.out}
	})
	r.eventually("the changes are read", func() bool { return r.get("/api/v1/rules/changes").status == http.StatusOK })
	return r, c
}

// change posts a body and returns the change in the answer.
func (r *rig) change(path, body string, status int, header ...string) (c ruleChangeItem) {
	r.tb.Helper()
	a := r.post(path, body, header...)
	require.Equal(r.tb, status, a.status, a.body)
	require.NoError(r.tb, json.Unmarshal([]byte(a.body), &c))
	return c
}

// fails posts a body and requires an error.
func (r *rig) fails(path, body string, status int, code string, header ...string) errorBody {
	r.tb.Helper()
	a := r.post(path, body, header...)
	require.Equal(r.tb, status, a.status, a.body)
	e := a.failure(r.tb)
	require.Equal(r.tb, code, e.Code)
	return e
}

const (
	changesPath = "/api/v1/rules/changes"
	proposal    = `{"change_id":"c1","rule":"hot","change":{"limit":78},"reason":"too many alarms","by":"李工","if_version":"v1","trial":{"hours":24,"before":253,"after":14}}`
)

func TestAChangeOfARuleIsProposedAndApproved(t *testing.T) {
	t.Parallel()
	r, core := startRules(t)
	c := r.change(changesPath, proposal, http.StatusCreated)
	require.Equal(t, ruleChangeItem{
		ID: "c1", Rule: "hot", YAML: "- id: hot\n  limit: 78\n", Before: "- id: hot\n  limit: 80\n", Base: "v1", By: "李工", At: c.At,
		Reason: "too many alarms", State: rulechange.Proposed, Trial: &rulechange.Trial{Hours: 24, Before: 253, After: 14},
	}, c)
	require.Equal(t, c, r.change(changesPath, proposal, http.StatusCreated), "a retry")
	for _, other := range [][2]string{{"many", "few"}, {"78", "79"}, {"李工", "王工"}, {`"change":{"limit":78}`, `"remove":true`}, {`"rule":"hot"`, `"rule":"cold"`}} {
		require.Contains(t, proposal, other[0])
		r.fails(changesPath, strings.Replace(proposal, other[0], other[1], 1), http.StatusConflict, "id_used")
	}

	var rules rulesJSON
	r.getJSON("/api/v1/rules", &rules)
	require.Equal(t, 1, *rules.Pending)
	require.Zero(t, rules.Rules[0].Versions)
	require.Equal(t, "page", rules.Rules[0].Origin)
	require.Empty(t, rules.Problems)

	r.fails(changesPath+"/c1/approve", `{"by":" 李工"}`, http.StatusConflict, "same_person")
	r.fails(changesPath+"/nobody/approve", `{"by":"王工"}`, http.StatusNotFound, "change_not_found")
	r.fails(changesPath+"/c1/approve", `{}`, http.StatusBadRequest, "operator_missing")
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusConflict, "same_person", "X-Operator", "李工")
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusForbidden, "origin_not_allowed", "Origin", "https://elsewhere.example")
	approved := r.change(changesPath+"/c1/approve", `{"by":"王工","note":"fine"}`, http.StatusOK)
	require.Equal(t, rulechange.Approved, approved.State)
	require.Equal(t, "王工", approved.ApprovedBy)
	require.Positive(t, approved.ApprovedAt)
	require.Equal(t, "fine", approved.Note)
	require.True(t, approved.InForce)
	require.Equal(t, approved, r.change(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusOK), "a retry")
	core.set(func() {
		core.rules["hot"] = approved.YAML
		core.problems = []wire.RuleProblem{{Message: "that is what is in force"}}
	})
	require.Equal(t, approved, r.change(changesPath, proposal, http.StatusCreated), "a very late retry")
	r.fails(changesPath+"/c1/approve", `{"by":"张工"}`, http.StatusConflict, "not_proposed")
	r.fails(changesPath+"/c1/withdraw", `{"by":"李工"}`, http.StatusConflict, "not_proposed")

	r.getJSON("/api/v1/rules", &rules)
	require.Zero(t, *rules.Pending)
	require.Equal(t, 1, rules.Rules[0].Versions)
}

func TestProposalsOfARuleThatChangedAreRefused(t *testing.T) {
	t.Parallel()
	r, core := startRules(t)
	r.fails(changesPath, strings.Replace(proposal, `"if_version":"v1"`, `"if_version":"v0"`, 1), http.StatusConflict, "rule_changed")
	r.change(changesPath, proposal, http.StatusCreated)
	core.set(func() { core.rules["hot"] = "- id: hot\n  limit: 70\n" }) // the file changed
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusConflict, "rule_changed")
	core.set(func() { core.rules["hot"] = "- id: hot\n  limit: 80\n" })
	r.change(changesPath, strings.Replace(proposal, "c1", "c2", 1), http.StatusCreated)
	r.change(changesPath+"/c2/approve", `{"by":"王工"}`, http.StatusOK)
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusConflict, "rule_changed")

	var list ruleChanges
	r.getJSON(changesPath+"?rule=hot", &list)
	require.Equal(t, 2, list.Total)
	require.Equal(t, "c2", list.Changes[0].ID, "the newest first")
	require.Equal(t, rulechange.Stale, list.Changes[1].Why)
	r.getJSON(changesPath+"?state=refused", &list)
	require.Equal(t, "c1", list.Changes[0].ID)
	r.getJSON(changesPath+"?limit=1&offset=1", &list)
	require.Len(t, list.Changes, 1)
	require.Equal(t, "c1", list.Changes[0].ID)
	r.getJSON(changesPath+"?rule=cold", &list)
	require.Empty(t, list.Changes)
	r.refused(changesPath+"?state=odd", http.StatusBadRequest, "bad_parameter")

	core.set(func() {
		core.out = []wire.RuleOutOfForce{{Rule: "hot", ChangeID: "c2", Problems: []wire.RuleProblem{{Message: "no such unit"}}}}
	})
	r.eventually("core says that it does not fit", func() bool {
		var rules rulesJSON
		r.getJSON("/api/v1/rules", &rules)
		return len(rules.Problems) == 1
	})
	r.getJSON(changesPath+"?state=approved", &list)
	require.False(t, list.Changes[0].InForce)
}

func TestWithdrawingNeedsAReasonUnlessOnesOwn(t *testing.T) {
	t.Parallel()
	r, _ := startRules(t)
	r.change(changesPath, proposal, http.StatusCreated)
	require.Equal(t, "note", r.fails(changesPath+"/c1/withdraw", `{"by":"王工"}`, http.StatusBadRequest, "bad_field").Field)
	c := r.change(changesPath+"/c1/withdraw", `{"by":"李工"}`, http.StatusOK)
	require.Equal(t, rulechange.Withdrawn, c.State)
	require.Equal(t, "李工", c.WithdrawnBy)
	require.Positive(t, c.WithdrawnAt)
	require.Equal(t, c, r.change(changesPath+"/c1/withdraw", `{"by":"李工"}`, http.StatusOK), "a retry")
	r.fails(changesPath+"/c1/withdraw", `{"by":"王工","note":"x"}`, http.StatusConflict, "not_proposed")
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusConflict, "not_proposed")
	r.change(changesPath, `{"change_id":"c2","yaml":"- id: new\n","reason":"r","by":"李工"}`, http.StatusCreated)
	require.Equal(t, "double", r.change(changesPath+"/c2/withdraw", `{"by":"王工","note":"double"}`, http.StatusOK).Note)
}

func TestMalformedProposalsAreRefused(t *testing.T) {
	t.Parallel()
	r, core := startRules(t)
	for body, field := range map[string]string{
		`{"rule":"hot","change":{"limit":1},"by":"a"}`:                                              "reason",
		`{"rule":"hot","change":{"limit":1},"by":"a","reason":" "}`:                                 "reason",
		`{"rule":"hot","by":"a","reason":"r"}`:                                                      "change",
		`{"rule":"hot","change":{"limit":1},"remove":true,"by":"a","reason":"r"}`:                   "change",
		`{"change":{"limit":1},"by":"a","reason":"r"}`:                                              "rule",
		`{"rule":"hot","change":{"limit":1},"by":"a","reason":"r","change_id":"a b"}`:               "change_id",
		`{"rule":"hot","change":{"limit":1},"by":"a","reason":"r","trial":{"hours":169}}`:           "trial",
		`{"rule":"h t","change":{"limit":1},"by":"a","reason":"r"}`:                                 "rule",
		`{"yaml":"` + strings.Repeat("x", maxRuleText+1) + `","by":"a","reason":"r"}`:               "yaml",
		`{"rule":"hot","change":{"limit":1},"by":"` + strings.Repeat("a", 200) + `","reason":"r"}`:  "by",
		`{"rule":"hot","change":{"limit":1},"by":"a","reason":"` + strings.Repeat("r", 1025) + `"}`: "reason",
	} {
		require.Equal(t, field, r.fails(changesPath, body, http.StatusBadRequest, "bad_field").Field, body)
	}
	core.set(func() { core.problems = []wire.RuleProblem{{Line: 3, Field: "limit", Message: "want a number"}} })
	require.Equal(t, core.problems, r.fails(changesPath, proposal, http.StatusUnprocessableEntity, "rule_invalid").Problems)
	var list ruleChanges
	r.getJSON(changesPath, &list)
	require.Empty(t, list.Changes, "nothing was written")
}

func TestProposalsNeedCoreAndKafka(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.eventually("the changes are read", func() bool { return r.get(changesPath).status == http.StatusOK })
	r.fails(changesPath, proposal, http.StatusServiceUnavailable, "core_unavailable")
}

func TestAnApprovalThatIsNotReadBackIsPending(t *testing.T) {
	t.Parallel()
	r, _ := startRules(t)
	r.portal.changeWithin = 0
	c := r.change(changesPath, proposal, http.StatusAccepted)
	require.Equal(t, statePending, c.State)
	r.eventually("it is read", func() bool { return strings.Contains(r.get(changesPath).body, `"proposed"`) })
	require.Equal(t, statePending, r.change(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusAccepted).State)
	r.eventually("it is read", func() bool { return strings.Contains(r.get(changesPath).body, `"approved"`) })
}

// TestPortalsAgree has a second portal decide first.
func TestPortalsAgree(t *testing.T) {
	t.Parallel()
	r, _ := startRules(t)
	r.change(changesPath, proposal, http.StatusCreated)
	value := `{"act":"approve","change":"c1","by":"张工","at":1}`
	kafkatest.Produce(t, r.brokers, r.cfg.Rules, 0, kafkatest.Record{Key: []byte(rulechange.NewKey("c1")), Value: []byte(value)})
	r.eventually("it is read", func() bool { return strings.Contains(r.get(changesPath).body, `"approved_by":"张工"`) })
	r.fails(changesPath+"/c1/approve", `{"by":"王工"}`, http.StatusConflict, "not_proposed")
}
