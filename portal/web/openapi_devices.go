package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// centralEndpoints are those of the credentials that the centre gives to devices.
var centralEndpoints = []endpoint{
	{
		path: "/api/v1/gateways/{id}/devices", id: "listCentralDevices", need: deviceCommand, tag: "gateways", cost: sorting, handle: (*Portal).listCentralDevices,
		summary: "Devices of a gateway that the centre has given a credential, or revoked",
		about: "Those of the gateway's own file (`edge device`) are not among them. Values of `state`: pending (the gateway has not confirmed it: it is away, or asks devices " +
			"for nothing), held and revoked (it has stored it).",
		params: join([]parameter{gatewayInPath}, pagingParameters),
		answers: []response{
			answered(list[centralDevice]{}), failing(fiber.StatusBadRequest, "bad_parameter"), failing(fiber.StatusNotFound, "gateway_not_found"),
			failing(fiber.StatusServiceUnavailable, "kafka_unavailable"),
		},
	},
	{
		method: fiber.MethodPost, need: deviceCommand,
		path: "/api/v1/gateways/{id}/devices", id: "addCentralDevice", tag: "gateways", handle: (*Portal).addCentralDevice,
		summary: "Give a device of a gateway a credential",
		about: "`secret` is shown this once; its SHA-256 alone is kept. The device connects with its id as the user and the secret as the password once the gateway has stored it. " +
			"What the centre says of a device counts before what the gateway's own file says.",
		params: []parameter{gatewayInPath, operatorHeader}, body: addDeviceBody{},
		example: object{{"by", "李工"}, {"device_id", "device_001"}},
		answers: centralAnswers("gateway_not_found", "device_exists", "key_used", "too_many_devices"),
	},
	{
		method: fiber.MethodPost, need: deviceCommand,
		path: "/api/v1/gateways/{id}/devices/{device}/rotate", id: "rotateCentralDevice", tag: "gateways", handle: (*Portal).rotateCentralDevice,
		summary: "Give a device a second secret, or end the first one",
		about:   "The secret of before holds until `end` is sent. A new nkey holds at once, alone.",
		params:  []parameter{gatewayInPath, centralInPath, operatorHeader}, body: rotateDeviceBody{},
		example: object{{"by", "李工"}},
		answers: centralAnswers("gateway_not_found device_not_found", "one_secret", "not_rotatable", "key_used"),
	},
	{
		method: fiber.MethodDelete, need: deviceCommand,
		path: "/api/v1/gateways/{id}/devices/{device}", id: "revokeCentralDevice", tag: "gateways", handle: (*Portal).revokeCentralDevice,
		summary: "Revoke a device",
		about: "Also one that its gateway has added itself. Its connection is cut within two seconds if the gateway is connected, else within two seconds of its return. " +
			"The body may be empty if the header names the operator.",
		params: []parameter{gatewayInPath, centralInPath, operatorHeader}, body: revokeDeviceBody{},
		example: object{{"by", "李工"}},
		answers: centralAnswers("gateway_not_found device_not_found", "too_many_devices"),
	},
}

var (
	gatewayInPath = inPath("id", "Id of the gateway.", "gw-a")
	centralInPath = inPath("device", "Id of the device.", "device_001")
)

// centralAnswers are those of a change of a credential; missing are the codes of 404.
func centralAnswers(missing string, conflicts ...string) []response {
	return []response{
		answered(centralDeviceAnswer{}), failing(fiber.StatusBadRequest, "bad_json", "bad_field", "bad_parameter", "operator_missing"), foreign,
		failing(fiber.StatusNotFound, strings.Fields(missing)...), failing(fiber.StatusConflict, conflicts...), notJSON,
		failing(fiber.StatusServiceUnavailable, "kafka_unavailable", "audit_unavailable"),
	}
}
