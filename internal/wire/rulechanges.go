package wire

// RuleProposalRequest asks core, on RuleProposalSubject, to check a change of a rule: the
// figures in Change, the whole rule in YAML, or Remove.
type RuleProposalRequest struct {
	Rule   string      `json:"rule"` // with YAML empty: the one it has
	Change *RuleChange `json:"change,omitempty"`
	YAML   string      `json:"yaml,omitempty"`
	Remove bool        `json:"remove,omitempty"`
	// IfVersion is the version of the rules that somebody saw who proposes a change; Before, when
	// a proposal is approved, the rule as it was then. Changed of the answer is true if the rule
	// in force is another one by now.
	IfVersion string  `json:"if_version,omitempty"`
	Before    *string `json:"before,omitempty"`
}

// RuleProposalAnswer is the change as core would take it over.
type RuleProposalAnswer struct {
	Rule     string        `json:"rule"`
	Text     string        `json:"text"`    // the rule in YAML, as the list of rules will show it; empty: removed
	Before   string        `json:"before"`  // the rule in force, empty: there is none
	Version  string        `json:"version"` // of the rules in force
	Changed  bool          `json:"changed,omitempty"`
	Problems []RuleProblem `json:"problems,omitempty"` // errors in the rule
	Error    string        `json:"error,omitempty"`    // anything else
}

// RuleOutOfForce is an approved change that core cannot take over: the rule as it was before
// that change is in force.
type RuleOutOfForce struct {
	Rule     string        `json:"rule"`
	ChangeID string        `json:"change_id"`
	Problems []RuleProblem `json:"problems"`
}
