package web

import "github.com/gofiber/fiber/v2"

// peopleEndpoints are those of who may use the portal.
var peopleEndpoints = []endpoint{
	{
		path: sessionPath, id: "getSession", need: anyone, tag: "people", handle: (*Portal).getSession,
		summary: "Who is signed in, what they may do, and how to sign in",
		answers: []response{answered(sessionAnswer{}), failing(fiber.StatusBadRequest, "bad_parameter")},
	},
	{
		method: fiber.MethodPost, need: anyone,
		path: sessionPath, id: "signIn", tag: "people", handle: (*Portal).signIn,
		summary: "Sign in with a name and a password",
		about: "Sets the cookie `__Host-iot` (`iot` over plain HTTP on the machine itself). It holds for 12 h at most, and ends after an hour in which nothing used it; an open page does. " +
			"After five wrong passwords of a name or an address each further one costs a delay that doubles, up to 30 s (`Retry-After`).",
		body: signInBody{}, example: object{{"name", "李工"}, {"password", "correct horse battery"}},
		answers: []response{
			answered(sessionAnswer{}), badPeople, failing(fiber.StatusUnauthorized, "wrong_password"),
			failing(fiber.StatusForbidden, "origin_not_allowed", "https_needed"), failing(fiber.StatusConflict, "sign_in_off"), notJSON, tooManyTries, peopleAway,
		},
	},
	{
		method: fiber.MethodDelete, need: viewPlant,
		path: sessionPath, id: "signOut", tag: "people", handle: (*Portal).signOut,
		summary: "Sign out",
		answers: []response{answered(done{}), badPeople, foreign, failing(fiber.StatusConflict, "no_password"), notJSON, peopleAway},
	},
	{
		method: fiber.MethodDelete, need: viewPlant,
		path: "/api/v1/sessions", id: "signOutEverywhere", tag: "people", handle: (*Portal).signOutEverywhere,
		summary: "Sign out everywhere",
		about:   "All sessions of who is signed in end, also on other portals, within a second. WebSockets are closed with 4003.",
		answers: []response{answered(done{}), badPeople, foreign, failing(fiber.StatusConflict, "no_password"), notJSON, peopleAway},
	},
	{
		method: fiber.MethodPut, need: viewPlant,
		path: sessionPath + "/password", id: "setPassword", tag: "people", handle: (*Portal).setOwnPassword,
		summary: "Change the own password",
		about:   "The other sessions of the person end. 10 characters or more.",
		body:    passwordBody{}, example: object{{"old", "correct horse battery"}, {"password", "staple battery horse"}},
		answers: []response{
			answered(done{}), badPeople, failing(fiber.StatusUnauthorized, "wrong_password"), foreign, failing(fiber.StatusConflict, "no_password"), notJSON, tooManyTries, peopleAway,
		},
	},
	{
		path: "/api/v1/users", id: "listUsers", need: managePeople, tag: "people", handle: (*Portal).listUsers,
		summary: "People who may sign in, by name",
		answers: []response{answered(list[userItem]{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusConflict, "sign_in_off"), peopleAway},
	},
	{
		method: fiber.MethodPost, need: managePeople,
		path: "/api/v1/users", id: "addUser", tag: "people", handle: (*Portal).addUser,
		summary: "Add a person", about: "A name is given once: the audit trail stays clear.",
		body: newUserBody{}, example: object{{"name", "王工"}, {"role", "operator"}, {"password", "correct horse battery"}},
		answers: []response{answered(done{}), badPeople, foreign, failing(fiber.StatusConflict, "name_taken", "sign_in_off"), notJSON, tooManyTries, notAudited},
	},
	{
		method: fiber.MethodPatch, need: managePeople,
		path: "/api/v1/users/{name}", id: "changeUser", tag: "people", handle: (*Portal).changeUser,
		summary: "Change the role or the password of a person, disable or enable them",
		about:   "It holds for what they have open, also on other portals, within a second. The last administrator stays one.",
		params:  []parameter{inPath("name", "Name of the person, percent-encoded.", "王工")},
		body:    userBody{}, example: object{{"role", "engineer"}},
		answers: []response{
			answered(done{}), badPeople, foreign, failing(fiber.StatusNotFound, "user_not_found"), failing(fiber.StatusConflict, "last_admin", "sign_in_off"), notJSON, tooManyTries, notAudited,
		},
	},
	{
		path: "/api/v1/tokens", id: "listTokens", need: managePeople, tag: "people", handle: (*Portal).listTokens,
		summary: "Tokens of programs, the newest first",
		answers: []response{answered(list[tokenItem]{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusConflict, "tokens_off"), peopleAway},
	},
	{
		method: fiber.MethodPost, need: managePeople,
		path: "/api/v1/tokens", id: "addToken", tag: "people", handle: (*Portal).addToken,
		summary: "Add a token for a program",
		about:   "`secret` is shown this once; the portal keeps its SHA-256 only. Programs send it as `Authorization: Bearer iotp_…`. What they do is by `token:` and the name.",
		body:    newTokenBody{}, example: object{{"name", "ci"}, {"role", "viewer"}, {"ttl", "90d"}},
		answers: []response{answered(tokenAnswer{}), badPeople, foreign, failing(fiber.StatusConflict, "tokens_off"), notJSON, notAudited},
	},
	{
		method: fiber.MethodDelete, need: managePeople,
		path: "/api/v1/tokens/{id}", id: "revokeToken", tag: "people", handle: (*Portal).revokeToken,
		summary: "Revoke a token",
		params:  []parameter{inPath("id", "Id of the token.", "0123456789ab")},
		answers: []response{answered(done{}), badPeople, foreign, failing(fiber.StatusNotFound, "token_not_found"), failing(fiber.StatusConflict, "tokens_off"), notJSON, notAudited},
	},
}

const sessionPath = "/api/v1/session"

var (
	badPeople    = failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter")
	tooManyTries = failing(fiber.StatusTooManyRequests, "too_many_attempts", "rate_limited")
	notAudited   = failing(fiber.StatusServiceUnavailable, "store_unavailable", "store_slow", "audit_unavailable")
	peopleAway   = failing(fiber.StatusServiceUnavailable, "store_unavailable", "store_slow")
)

// permissionWords are all permissions, in the order of the table in docs/security.md.
var permissionWords = []string{
	string(anyone), string(viewPlant), string(investigate), string(alarmCommand), string(keepNotes), string(alarmsAtLarge), string(deviceCommand), string(ruleChange),
	string(maintain), string(managePeople),
}
