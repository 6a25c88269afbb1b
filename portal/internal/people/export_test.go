package people

// MostAtOnce and Done tell how many hashes were computed at once, and how many in all.
func (d *Directory) MostAtOnce() int64 { return d.hasher.most.Load() }

// Cost is what all hashes cost, as its beginning.
const Cost = "$argon2id$v=19$m=65536,t=1,p=1$"

// Nobodys is the hash with which an unknown name is compared.
func (d *Directory) Nobodys() string { return d.hasher.nobodys }

// Done tells how many hashes were computed.
func (d *Directory) Done() int64 { return d.hasher.done.Load() }

// Limits of the throttle and of sessions.
const (
	FreeTries      = freeTries
	LongestDelay   = longestDelay
	MostHashes     = mostHashes
	LongestIdle    = longestIdle
	LongestSession = longestSession
)
