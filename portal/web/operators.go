package web

import (
	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/operators"
)

// operatorCounts counts who is at the screens.
type operatorCounts struct {
	// Names is how many different operators have entered their name.
	Names   int `json:"names"`
	Screens int `json:"screens"`
}

// listOperators handles GET /api/v1/operators.
func (p *Portal) listOperators(c *fiber.Ctx) error {
	all := p.operators.List()
	out := list[operators.Operator]{Total: len(all), Count: len(all), Time: p.model.Now(), Items: all}
	if all == nil {
		out.Items = []operators.Operator{}
	}
	return c.JSON(out)
}

func (p *Portal) countOperators() operatorCounts {
	names, screens := p.operators.Count()
	return operatorCounts{Names: names, Screens: screens}
}
