package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"industrial-iot-monitor/portal/internal/people"
)

// Bounds for each person; what is older is deleted.
const (
	mostSessions = 20
	mostPlaces   = 8
)

// People is the Store of package people. Kafka does not have what is in it.
type People struct{ s *Store }

// People returns who may use the portal.
func (s *Store) People() People { return People{s} }

// passed are errors that are no failure of the database.
var passed = []error{people.ErrUnknown, people.ErrTaken, people.ErrLastAdmin, people.ErrInvalid}

// ask calls f with the database.
func (p People) ask(ctx context.Context, what string, f func(context.Context, *sql.DB) error) error {
	db, err := p.s.use()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err = f(ctx, db)
	if errors.Is(err, sql.ErrNoRows) {
		return people.ErrUnknown
	}
	if slices.ContainsFunc(passed, func(e error) bool { return errors.Is(err, e) }) {
		return err
	}
	return p.s.explain(ctx, db, what, err)
}

// change calls f in a transaction. One that takes something away changes the version first, for
// which others wait.
func (p People) change(ctx context.Context, what string, loss bool, f func(context.Context, *sql.Tx) error) error {
	return p.ask(ctx, what, func(ctx context.Context, db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after Commit it does nothing
		if loss {
			if _, err := tx.ExecContext(ctx, newVersion); err != nil {
				return err
			}
		}
		if err := f(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

const newVersion = "update people_version set version = version + 1"

func (p People) exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (changed int64, err error) {
	r, err := tx.ExecContext(ctx, p.s.dialect.bind(statement), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Version implements people.Store.
func (p People) Version(ctx context.Context) (version int64, err error) {
	err = p.ask(ctx, "reading the version of people", func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, "select version from people_version").Scan(&version)
	})
	return version, err
}

const userColumns = "name, role, password, disabled, created_at, created_by, changed_at, changed_by, signed_in_at"

func readUser(scan func(...any) error) (u people.User, err error) {
	err = scan(&u.Name, &u.Role, &u.Password, &u.Disabled, &u.CreatedAt, &u.CreatedBy, &u.ChangedAt, &u.ChangedBy, &u.SignedInAt)
	return u, err
}

// everything reads all rows of a statement.
func everything[T any](ctx context.Context, p People, what, statement string, read func(scan func(...any) error) (T, error)) (out []T, err error) {
	err = p.ask(ctx, what, func(ctx context.Context, db *sql.DB) error {
		rows, err := db.QueryContext(ctx, statement)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err says what failed
		for rows.Next() {
			item, err := read(rows.Scan)
			if err != nil {
				return err
			}
			out = append(out, item)
		}
		return rows.Err()
	})
	return out, err
}

// Users implements people.Store.
func (p People) Users(ctx context.Context) ([]people.User, error) {
	return everything(ctx, p, "reading people", "select "+userColumns+" from people order by key", readUser)
}

// User implements people.Store.
func (p People) User(ctx context.Context, key string) (u people.User, err error) {
	err = p.ask(ctx, "reading a person", func(ctx context.Context, db *sql.DB) (err error) {
		u, err = readUser(db.QueryRowContext(ctx, p.s.dialect.bind("select "+userColumns+" from people where key = ?"), clean(key)).Scan)
		return err
	})
	return u, err
}

// KnownPlace implements people.Store.
func (p People) KnownPlace(ctx context.Context, key, place string) (known bool, err error) {
	err = p.ask(ctx, "reading where people were", func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, p.s.dialect.bind("select count(*) > 0 from people_places where person = ? and place = ?"), clean(key), clean(place)).Scan(&known)
	})
	return known, err
}

// AddUser implements people.Store.
func (p People) AddUser(ctx context.Context, key string, u *people.User, first bool) error {
	return p.change(ctx, "adding a person", first, func(ctx context.Context, tx *sql.Tx) error {
		if first {
			if some, err := p.s.exists(ctx, tx, "people"); err != nil || some {
				return errors.Join(err, people.ErrTaken)
			}
		}
		added, err := p.exec(ctx, tx, "insert into people (key, "+userColumns+") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
			key, u.Name, string(u.Role), u.Password, bit(u.Disabled), u.CreatedAt, u.CreatedBy, u.ChangedAt, u.ChangedBy, u.SignedInAt)
		if err == nil && added == 0 {
			err = people.ErrTaken
		}
		return err
	})
}

// ChangeUser implements people.Store.
func (p People) ChangeUser(ctx context.Context, key, except string, f func(*people.User) error) error {
	return p.change(ctx, "changing a person", true, func(ctx context.Context, tx *sql.Tx) error {
		u, err := readUser(tx.QueryRowContext(ctx, p.s.dialect.bind("select "+userColumns+" from people where key = ?"), clean(key)).Scan)
		if err != nil {
			return err
		}
		password := u.Password
		if err := f(&u); err != nil {
			return err
		}
		if _, err := p.exec(ctx, tx, "update people set role = ?, password = ?, disabled = ?, changed_at = ?, changed_by = ? where key = ?",
			string(u.Role), u.Password, bit(u.Disabled), u.ChangedAt, u.ChangedBy, key); err != nil {
			return err
		}
		if left, err := p.s.exists(ctx, tx, "people where role = ? and disabled = 0", string(people.Admin)); err != nil || !left {
			return errors.Join(err, people.ErrLastAdmin)
		}
		if u.Password != password || u.Disabled {
			_, err = p.exec(ctx, tx, "delete from sessions where person = ? and via = ? and hash <> ?", key, people.ViaLocal, except)
		}
		return err
	})
}

func readToken(scan func(...any) error) (t people.Token, err error) {
	var actsAs int
	err = scan(&t.ID, &t.Name, &t.Role, &actsAs, &t.CreatedAt, &t.CreatedBy, &t.ExpiresAt, &t.RevokedAt, &t.RevokedBy, &t.UsedAt)
	t.ActsAs = actsAs != 0
	return t, err
}

// Tokens implements people.Store.
func (p People) Tokens(ctx context.Context) ([]people.Token, error) {
	const statement = "select id, name, role, acts_as, created_at, created_by, expires_at, revoked_at, revoked_by, used_at from tokens order by created_at desc, id"
	return everything(ctx, p, "reading tokens", statement, readToken)
}

// AddToken implements people.Store.
func (p People) AddToken(ctx context.Context, hash string, t *people.Token) error {
	return p.change(ctx, "adding a token", false, func(ctx context.Context, tx *sql.Tx) error {
		_, err := p.exec(ctx, tx, "insert into tokens (id, hash, name, role, acts_as, created_at, created_by, expires_at, revoked_at, revoked_by, used_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			t.ID, hash, t.Name, string(t.Role), bit(t.ActsAs), t.CreatedAt, t.CreatedBy, t.ExpiresAt, t.RevokedAt, t.RevokedBy, t.UsedAt)
		return err
	})
}

// RevokeToken implements people.Store. A token that was revoked stays as it is.
func (p People) RevokeToken(ctx context.Context, id, by string, at int64) error {
	return p.change(ctx, "revoking a token", true, func(ctx context.Context, tx *sql.Tx) error {
		known, err := p.s.exists(ctx, tx, "tokens where id = ?", clean(id))
		if err == nil && !known {
			err = people.ErrUnknown
		}
		if err != nil {
			return err
		}
		_, err = p.exec(ctx, tx, "update tokens set revoked_at = ?, revoked_by = ? where id = ? and revoked_at = 0", at, by, clean(id))
		return err
	})
}

// AddSession implements people.Store.
func (p People) AddSession(ctx context.Context, key, hash string, s *people.Session) error {
	return p.change(ctx, "beginning a session", false, func(ctx context.Context, tx *sql.Tx) error {
		_, err := p.exec(ctx, tx, "insert into sessions (hash, person, name, role, via, place, created_at, used_at, ends_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			hash, key, s.Name, string(s.Role), s.Via, s.Place, s.CreatedAt, s.UsedAt, s.EndsAt)
		if err != nil {
			return err
		}
		if _, err := p.exec(ctx, tx, "delete from sessions where ends_at <= ?", s.CreatedAt); err != nil {
			return err
		}
		ended, err := p.exec(ctx, tx, "delete from sessions where person = ? and hash not in (select hash from sessions where person = ? order by created_at desc, hash limit ?)", key, key, mostSessions)
		if err == nil && ended > 0 {
			_, err = p.exec(ctx, tx, newVersion)
		}
		if err != nil {
			return err
		}
		if s.Via != people.ViaLocal {
			return nil
		}
		return p.signedIn(ctx, tx, key, s)
	})
}

// signedIn notes when and from where a person signed in.
func (p People) signedIn(ctx context.Context, tx *sql.Tx, key string, s *people.Session) error {
	if _, err := p.exec(ctx, tx, "update people set signed_in_at = ? where key = ?", s.CreatedAt, key); err != nil {
		return err
	}
	if _, err := p.exec(ctx, tx, "insert into people_places (person, place, at) values (?, ?, ?) on conflict (person, place) do update set at = excluded.at", key, s.Place, s.CreatedAt); err != nil {
		return err
	}
	_, err := p.exec(ctx, tx, "delete from people_places where person = ? and place not in (select place from people_places where person = ? order by at desc, place limit ?)", key, key, mostPlaces)
	return err
}

// EndSessions implements people.Store.
func (p People) EndSessions(ctx context.Context, key, hash string) error {
	return p.change(ctx, "ending sessions", true, func(ctx context.Context, tx *sql.Tx) (err error) {
		if hash != "" {
			_, err = p.exec(ctx, tx, "delete from sessions where hash = ?", hash)
			return err
		}
		_, err = p.exec(ctx, tx, "delete from sessions where person = ?", clean(key))
		return err
	})
}

// Grant implements people.Store.
func (p People) Grant(ctx context.Context, kind people.Kind, hash string) (g people.Grant, err error) {
	statement := "select t.name, t.role, '" + people.ViaToken + "', t.used_at, t.expires_at, t.acts_as from tokens t where t.hash = ? and t.revoked_at = 0"
	if kind == people.KindSession {
		statement = "select coalesce(p.name, s.name), coalesce(p.role, s.role), s.via, s.used_at, s.ends_at, 0 from sessions s " +
			"left join people p on p.key = s.person and s.via = '" + people.ViaLocal + "' where s.hash = ? and coalesce(p.disabled, 0) = 0"
	}
	err = p.ask(ctx, "reading a credential", func(ctx context.Context, db *sql.DB) error {
		var actsAs int
		err := db.QueryRowContext(ctx, p.s.dialect.bind(statement), hash).Scan(&g.Name, &g.Role, &g.Via, &g.UsedAt, &g.EndsAt, &actsAs)
		g.ActsAs = actsAs != 0
		return err
	})
	return g, err
}

// Touch implements people.Store.
func (p People) Touch(ctx context.Context, uses []people.Use) error {
	return p.change(ctx, "noting uses", false, func(ctx context.Context, tx *sql.Tx) error {
		for _, u := range uses {
			table := "sessions"
			if u.Kind == people.KindToken {
				table = "tokens"
			}
			if _, err := p.exec(ctx, tx, "update "+table+" set used_at = ? where hash = ? and used_at < ?", u.At, u.Hash, u.At); err != nil {
				return err
			}
		}
		return nil
	})
}
