package web

import (
	"errors"

	"github.com/gofiber/fiber/v2"
)

// apiError is an error whose words are meant for the client.
type apiError struct {
	status int
	body   errorBody
}

// errorAnswer is the one form that errors have.
type errorAnswer struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Field names the parameter, header or field of the body that cannot be used.
	Field string `json:"field,omitempty"`
	// CommandID names the command that the error is about.
	CommandID string `json:"command_id,omitempty"`
}

// refuse makes an error for the client.
func refuse(status int, code, message string) *apiError {
	return &apiError{status: status, body: errorBody{Code: code, Message: message}}
}

// at says which field is meant.
func (e *apiError) at(field string) *apiError {
	e.body.Field = field
	return e
}

// of says which command is meant.
func (e *apiError) of(commandID string) *apiError {
	e.body.CommandID = commandID
	return e
}

// Error implements error.
func (e *apiError) Error() string { return e.body.Code + ": " + e.body.Message }

// answerError writes an error. Words come from us alone; what went wrong inside goes to
// the log.
func (p *Portal) answerError(c *fiber.Ctx, err error) error {
	ours, ok := errors.AsType[*apiError](err)
	if !ok {
		ours = p.translate(c, err)
	}
	return c.Status(ours.status).JSON(errorAnswer{ours.body})
}

// translate finds safe words for an error of Fiber or of a handler.
func (p *Portal) translate(c *fiber.Ctx, err error) *apiError {
	status := fiber.StatusInternalServerError
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		status = f.Code
	}
	switch status {
	case fiber.StatusNotFound:
		return refuse(status, "not_found", "there is nothing at this address")
	case fiber.StatusMethodNotAllowed:
		return refuse(status, "method_not_allowed", "this address does not take this method")
	case fiber.StatusRequestEntityTooLarge, fiber.StatusRequestHeaderFieldsTooLarge:
		return refuse(status, "too_large", "the request is too large")
	case fiber.StatusRequestTimeout:
		return refuse(status, "timeout", "the request took too long to arrive")
	}
	if status >= fiber.StatusBadRequest && status < fiber.StatusInternalServerError {
		return refuse(status, "bad_request", "the request could not be understood")
	}
	p.log.Error("request failed", "method", c.Method(), "path", c.Path(), "err", err)
	return refuse(fiber.StatusInternalServerError, "internal", "something went wrong here; the log of the portal says what")
}
