package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/people"
)

func (r *rig) securityOffsets(query string, headers ...string) []int64 {
	r.tb.Helper()
	out := []int64{}
	for _, x := range r.security(query, headers...).Items {
		out = append(out, x.Offset)
	}
	return out
}

func (r *rig) security(query string, headers ...string) (a securityAnswer) {
	r.tb.Helper()
	got := r.get("/api/v1/audit/security?"+query, headers...)
	require.Equal(r.tb, http.StatusOK, got.status, got.body)
	require.NoError(r.tb, json.Unmarshal([]byte(got.body), &a))
	require.Len(r.tb, a.Items, a.Count)
	return a
}

// TestAdministratorsReadTheSecurityAudit looks at what the portal wrote of what people did; other roles may not.
func TestAdministratorsReadTheSecurityAudit(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	admin := r.signIn(firstAdmin)
	r.add(people.Engineer)
	engineer := r.signIn("engineer")
	for _, path := range []string{"/api/v1/audit/security", "/api/v1/audit/security.csv"} {
		require.Equal(t, http.StatusForbidden, r.get(path, engineer...).status, path)
		require.Equal(t, http.StatusUnauthorized, r.get(path).status, path)
	}
	require.Equal(t, http.StatusUnauthorized, r.ask(http.MethodPost, sessionPath, `{"name":"engineer","password":"wrong password"}`).status)
	require.Equal(t, http.StatusOK, r.ask(http.MethodPost, "/api/v1/users", `{"name":"王工","role":"operator","password":"`+goodPassword+`"}`, admin...).status)
	r.eventually("what was written is there", func() bool {
		a := r.security("what=user_add&who="+firstAdmin, admin...)
		return a.Total == 2 && a.Complete && r.security("outcome=failed&who=engineer", admin...).Total == 1
	})
	added := r.security("what=user_add&about="+url.QueryEscape("王工"), admin...).Items
	require.Equal(t, []securityaudit.Outcome{securityaudit.Done, securityaudit.Begun}, []securityaudit.Outcome{added[0].Outcome, added[1].Outcome}, "the newest first")
	require.Equal(t, []string{"local", "operator"}, []string{added[0].Via, added[0].Detail})
	stored := map[int64]securityaudit.Record{}
	for i, x := range r.securityRecords() {
		stored[int64(i)] = *x
	}
	for _, x := range r.security("", admin...).Items {
		require.Equal(t, stored[x.Offset], x.Record)
	}
}

// TestSecurityAuditIsSearchedAndExported are records of some hours, one of them with a formula for a name.
func TestSecurityAuditIsSearchedAndExported(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(t.TempDir()+"/portal.db"))
	const hour = 3_600_000
	chain := securityaudit.NewChain("")
	for _, x := range []securityaudit.Record{
		{Time: 1 * hour, Who: "li", Via: "local", What: securityaudit.SignIn, Outcome: securityaudit.Done, Program: "portal"},
		{Time: 2 * hour, Who: `=HYPERLINK("http://x")`, Via: "shell", Address: "192.0.2.1", What: securityaudit.UserAdd, About: "王工", Detail: "+1", Outcome: securityaudit.Begun, Program: "portal"},
		{Time: 3 * hour, Who: "li", What: securityaudit.SignIn, Outcome: securityaudit.Failed, Reason: "wrong name or password", Count: 999, Program: "portal"},
		{Time: 4 * hour, What: securityaudit.GatewayEnrol, About: "gw-a", Outcome: securityaudit.Done, Program: "bridge"},
	} {
		linked := chain.Link(x)
		kafkatest.Produce(t, r.brokers, r.cfg.Security, 0, kafkatest.Record{Value: linked.Encode()})
	}
	kafkatest.Produce(t, r.brokers, r.cfg.Security, 0, kafkatest.Record{Value: []byte("{}")})
	r.eventually("stored", func() bool {
		a := r.get("/api/v1/audit/security")
		return a.status == http.StatusOK && r.security("").Total == 4 && r.security("").Complete
	})
	for query, want := range map[string][]int64{
		"": {3, 2, 1, 0}, "sort=time": {0, 1, 2, 3}, "limit=2&offset=1": {2, 1}, "who=li": {2, 0}, "who=nobody": {}, "about=gw-a": {3}, "program=bridge": {3},
		"what=user_add,gateway_enrol": {3, 1}, "outcome=failed,begun": {2, 1}, "who=li&outcome=done": {0}, "from=7200000": {3, 2, 1}, "from=7200000&to=10800000": {1},
	} {
		require.Equal(t, want, r.securityOffsets(query), query)
	}
	for _, query := range []string{"what=bad", "outcome=bad", "from=x", "sort=who", "offset=10001", "building=x", "limit=0"} {
		r.refused("/api/v1/audit/security?"+query, http.StatusBadRequest, "bad_parameter")
	}
	rows := r.rows("/api/v1/audit/security.csv?to=10800001&zone=Asia/Shanghai")
	require.Equal(t, securityHead, rows[0])
	require.Len(t, rows, 4)
	require.Equal(t, []string{"1970-01-01T03:00:00.000Z", "1970-01-01 11:00:00", "li", "", "", "sign_in", "", "", "failed", "wrong name or password", "999", "portal", "", "2"}, rows[1][:14])
	require.Equal(t, []string{`'=HYPERLINK("http://x")`, "shell", "192.0.2.1", "user_add", "王工", "'+1"}, rows[2][2:8])
	rows = r.rows("/api/v1/audit/security.csv?lang=zh&who=li")
	require.Equal(t, securityHeadChinese, rows[0])
	require.Equal(t, []string{"登录", "失败", "姓名或密码错误"}, []string{rows[1][5], rows[1][8], rows[1][9]})
	r.refused("/api/v1/audit/security.csv?limit=5", http.StatusBadRequest, "bad_parameter")
}

func TestWithoutADatabaseThereIsNoSecurityAudit(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.refused("/api/v1/audit/security", http.StatusServiceUnavailable, "store_off")
	r.refused("/api/v1/audit/security.csv", http.StatusServiceUnavailable, "store_off")
}

// TestSecurityAuditHasWordsForAllCodes compares the file's words with the page's.
func TestSecurityAuditHasWordsForAllCodes(t *testing.T) {
	for lang, words := range map[string]map[string]string{"zh": securityChinese, "en": nil} {
		raw, err := os.ReadFile("../ui/src/i18n/audit." + lang + ".js")
		require.NoError(t, err)
		page := map[string]string{}
		for _, m := range regexp.MustCompile(`'security\.((?:what|outcome|via|reason)\.\w+)': '(.*)'`).FindAllStringSubmatch(string(raw), -1) {
			page[m[1]] = m[2]
		}
		if words != nil {
			require.Equal(t, words, page)
		}
		for _, w := range securityWhats {
			require.Contains(t, page, "what."+w)
		}
		for _, w := range securityOutcomes {
			require.Contains(t, page, "outcome."+w)
		}
		require.Len(t, page, len(securityChinese))
	}
	require.Equal(t, people.ErrWrong.Error(), securityReasons[0].begin)
	require.Equal(t, "sign_in", securityWord("en", "what", "sign_in"))
	require.Equal(t, "later", securityWord("zh", "what", "later"))
}
