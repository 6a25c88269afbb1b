package hub

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/wire"
)

// answerWithin is how long a program may take for an answer: a dry run of rules takes longest.
const answerWithin = 5 * time.Minute

// rights are what a role may say and hear in the account of the plant. docs/security.md has the
// same table, for hubs that are not embedded.
var rights = map[access.Role]struct{ say, hear []string }{
	access.RoleBridge: {
		say:  []string{wire.FreshSubjects, wire.LedgerSubjects, wire.VitalsSubject("bridge")},
		hear: []string{wire.StatusSubjects, wire.LogLevelSubject("bridge"), wire.Inboxes},
	},
	access.RoleCore: {
		say: []string{
			wire.LiveSubjects, wire.AlertSubjects, wire.AggregateSubject, wire.PeersSubject, wire.UnusualSubject,
			wire.VitalsSubject("core"), wire.VitalsSubject("historian"),
		},
		hear: []string{
			wire.FreshSubjects, wire.StatusSubjects, wire.LedgerSubjects, wire.PeersSubject, wire.ExplainSubject, wire.LimitsSubject, wire.RulesSubject,
			wire.DryRunSubject, wire.RuleProposalSubject, wire.DeadLettersSubject, wire.DeadLettersReplaySubject,
			wire.LogLevelSubject("core"), wire.LogLevelSubject("historian"), wire.Inboxes,
		},
	},
	access.RolePortal: {
		say: []string{
			wire.ExplainSubject, wire.LimitsSubject, wire.RulesSubject, wire.DryRunSubject, wire.RuleProposalSubject,
			wire.DeadLettersSubject, wire.DeadLettersReplaySubject, wire.VitalsSubject("portal"), wire.LogLevelSubject("*"),
			wire.TraceSubject,
		},
		hear: []string{
			wire.LiveSubjects, wire.AlertSubjects, wire.AggregateSubject, wire.StatusSubjects, wire.LedgerSubjects, wire.UnusualSubject, wire.VitalsSubjects,
			wire.LogLevelSubject("portal"), wire.Inboxes,
		},
	},
}

// permissions returns those of a role; of no role: everything.
func permissions(role access.Role) *server.Permissions {
	if role == "" {
		return nil
	}
	r := rights[role] // of an unknown role: nothing
	return &server.Permissions{
		Publish:   allowed(r.say),
		Subscribe: allowed(r.hear),
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: answerWithin},
	}
}

// allowed allows these subjects and no other. An empty list would allow all.
func allowed(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}
