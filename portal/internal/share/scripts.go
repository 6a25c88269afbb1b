package share

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// The scripts need Redis 6.2 for ZMSCORE and ZADD GT.
var (
	//go:embed newest.lua
	newestText string
	//go:embed remove.lua
	removeText string
	//go:embed operators.lua
	operatorsText string
	//go:embed take.lua
	takeText string

	newestScript    = redis.NewScript(newestText)
	removeScript    = redis.NewScript(removeText)
	operatorsScript = redis.NewScript(operatorsText)
	takeScript      = redis.NewScript(takeText)
)
