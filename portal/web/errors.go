package web

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/wire"
)

// apiError is an error with a message for the client.
type apiError struct {
	status int
	body   errorBody
}

// errorAnswer is the form of every error.
type errorAnswer struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Field is the parameter, header or body field at fault.
	Field string `json:"field,omitempty"`
	// CommandID is the command at fault.
	CommandID string `json:"command_id,omitempty"`
	// Problems are errors in a rule.
	Problems []wire.RuleProblem `json:"problems,omitempty"`
}

// refuse returns an error for the client.
func refuse(status int, code, message string) *apiError {
	return &apiError{status: status, body: errorBody{Code: code, Message: message}}
}

// at sets the field at fault.
func (e *apiError) at(field string) *apiError {
	e.body.Field = field
	return e
}

// of sets the command at fault.
func (e *apiError) of(commandID string) *apiError {
	e.body.CommandID = commandID
	return e
}

// because sets the errors in a rule.
func (e *apiError) because(problems []wire.RuleProblem) *apiError {
	e.body.Problems = problems
	return e
}

// Error implements error.
func (e *apiError) Error() string { return e.body.Code + ": " + e.body.Message }

// answerError writes an error. Clients get only our own messages; internal errors go to the log.
func (p *Portal) answerError(c *fiber.Ctx, err error) error {
	ours, ok := errors.AsType[*apiError](err)
	if !ok {
		ours = p.translate(c, err)
	}
	if !reads(c) {
		p.noteRefused(who(c), commandOf(c), ours)
	}
	return c.Status(ours.status).JSON(errorAnswer{ours.body})
}

// translate returns a safe message for an error of Fiber or of a handler.
func (p *Portal) translate(c *fiber.Ctx, err error) *apiError {
	status := fiber.StatusInternalServerError
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		status = f.Code
	}
	switch status {
	case fiber.StatusNotFound:
		return refuse(status, "not_found", "no such path")
	case fiber.StatusMethodNotAllowed:
		return refuse(status, "method_not_allowed", "this path does not allow the method")
	case fiber.StatusRequestEntityTooLarge, fiber.StatusRequestHeaderFieldsTooLarge:
		return refuse(status, "too_large", "the request is too large")
	case fiber.StatusRequestTimeout:
		return refuse(status, "timeout", "the request took too long to arrive")
	}
	if status >= fiber.StatusBadRequest && status < fiber.StatusInternalServerError {
		return refuse(status, "bad_request", "malformed request")
	}
	p.log.Error("request failed", "method", c.Method(), "path", c.Path(), "err", err)
	return refuse(fiber.StatusInternalServerError, "internal", "internal error; see the portal's log")
}
