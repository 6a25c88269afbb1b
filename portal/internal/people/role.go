package people

import "slices"

// Role is what a person or program may do in the plant. Each role may do what those before it in Roles may.
type Role string

// Roles. The zero value is nobody, who may do nothing.
const (
	Nobody   Role = ""
	Viewer   Role = "viewer"   // sees the plant
	Operator Role = "operator" // answers alarms and writes notes
	Engineer Role = "engineer" // changes devices and rules
	Admin    Role = "admin"    // says who may use the portal
)

// Roles are all roles but Nobody, by what they may do.
var Roles = []Role{Viewer, Operator, Engineer, Admin}

// Valid reports whether r is one of Roles.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Includes reports whether r may do what other may.
func (r Role) Includes(other Role) bool {
	return other == Nobody || slices.Index(Roles, r) >= slices.Index(Roles, other) && other.Valid()
}
