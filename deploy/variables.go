package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
	"github.com/fnctl/fnctl/units"
)

// Variables are those of a revision, by where they come from.
type Variables struct {
	Revision platform.Revision
	Config   map[string]string // of jcloud.yml
	Env      map[string]string // that were set
	secrets  map[string]string // nil until they are needed: reading them may take decrypting them
}

// Variables reads those of the revision of a function that serves.
func (e *Engine) Variables(name string) (Variables, error) {
	var v Variables
	route, err := e.Store.Route(name)
	if err != nil {
		return v, platform.WithRouteHint(err, name)
	}
	id := route.Newest()
	v.Revision, err = e.Store.Revision(id)
	if err == nil && len(v.Revision.Command) == 0 {
		err = errors.New("it has no command")
	}
	if err != nil {
		return v, fmt.Errorf("revision %s: %w", id, err)
	}
	if v.Config, err = e.readVariables(id, platform.ConfigEnvFile); err != nil {
		return v, err
	}
	v.Env, err = e.readVariables(id, platform.EnvFile)
	return v, err
}

func (e *Engine) readVariables(id platform.RevisionID, file string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(e.Store.Paths.Revision(id), file))
	if err != nil {
		return nil, fmt.Errorf("read the variables of %s: %w", id, err)
	}
	variables, err := units.ParseEnvFile(data)
	if err != nil {
		return nil, fmt.Errorf("read the variables of %s: %s: %w", id, file, err)
	}
	return variables, nil
}

// SetEnv makes a revision that differs from the one that serves in some variables only.
func (f *Function) SetEnv(ctx context.Context, given map[string]string, verbose bool) (Deployed, error) {
	return f.changeVariables(ctx, verbose, func(v *Variables) error {
		maps.Copy(v.Env, given)
		return nil
	})
}

// UnsetEnv makes a revision without some variables. One that there is not, or that is of jcloud.yml, is an error.
func (f *Function) UnsetEnv(ctx context.Context, keys []string, verbose bool) (Deployed, error) {
	return f.changeVariables(ctx, verbose, func(v *Variables) error { return v.unset(v.Env, v.Config, keys) })
}

// SetSecrets makes a revision that differs from the one that serves in some secrets only.
func (f *Function) SetSecrets(ctx context.Context, given map[string]string, verbose bool) (Deployed, error) {
	return f.changeSecrets(ctx, slices.Collect(maps.Keys(given)), verbose, func(v *Variables) error {
		maps.Copy(v.secrets, given)
		return nil
	})
}

// UnsetSecrets makes a revision without some secrets. One that there is not is an error.
func (f *Function) UnsetSecrets(ctx context.Context, keys []string, verbose bool) (Deployed, error) {
	return f.changeSecrets(ctx, keys, verbose, func(v *Variables) error { return v.unset(v.secrets, nil, keys) })
}

// unset takes variables away. Those that are fixed come from jcloud.yml.
func (v *Variables) unset(from, fixed map[string]string, keys []string) error {
	for _, key := range keys {
		_, there := from[key]
		_, isFixed := fixed[key]
		switch {
		case there:
		case isFixed:
			return platform.WithHint(fmt.Errorf("%s of %s comes from jcloud.yml", key, v.Revision.ID.Function), "change it there and deploy again")
		default:
			return fmt.Errorf("%s has no %s to unset", v.Revision.ID.Function, key)
		}
	}
	for _, key := range keys {
		delete(from, key)
	}
	return nil
}

// changeSecrets makes a revision that differs in the secrets with some names only.
func (f *Function) changeSecrets(ctx context.Context, names []string, verbose bool, change func(*Variables) error) (Deployed, error) {
	return f.changeVariables(ctx, verbose, func(v *Variables) error {
		if err := v.readSecrets(ctx, f.Store.Paths, names); err != nil {
			return err
		}
		return change(v)
	})
}

// readSecrets reads the secrets, unless all of them are about to change: so a machine that has lost its key is mended.
func (v *Variables) readSecrets(ctx context.Context, paths platform.Paths, changed []string) error {
	names, err := secrets.Names(paths, v.Revision)
	if err != nil {
		return fmt.Errorf("read the secrets of %s: %w", v.Revision.ID, err)
	}
	if slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(changed, name) }) {
		v.secrets, err = secrets.Read(ctx, paths, v.Revision)
		return err
	}
	v.secrets = map[string]string{}
	for _, name := range names {
		v.secrets[name] = ""
	}
	return nil
}

// changeVariables makes a revision that differs in its variables only.
func (f *Function) changeVariables(ctx context.Context, verbose bool, change func(*Variables) error) (Deployed, error) {
	if err := f.checkOneServes(); err != nil {
		return Deployed{}, err
	}
	v, err := f.Variables(f.Name)
	if err != nil {
		return Deployed{}, err
	}
	if err := change(&v); err != nil {
		return Deployed{}, err
	}
	request, err := v.request(f.Store.Paths)
	if err != nil {
		return Deployed{}, err
	}
	request.Verbose = verbose
	return f.Deploy(ctx, request)
}

// checkOneServes refuses a change while the traffic is split: which revision is to be changed is not known then.
func (f *Function) checkOneServes() error {
	route, err := f.Store.Route(f.Name)
	if err != nil {
		return platform.WithRouteHint(err, f.Name)
	}
	if route.PercentOf(route.Newest()) != 100 {
		return platform.WithHint(fmt.Errorf("the traffic of %s is split: which revision is meant is not known", f.Name),
			"\"fnctl traffic %s REVISION=100\" first", f.Name)
	}
	return nil
}

// request is what makes a revision like the one at hand, with the variables as they are now.
func (v Variables) request(paths platform.Paths) (Request, error) {
	rev := v.Revision
	r := Request{Name: rev.ID.Function, from: rev.ID, source: rev.Source, Config: rev.Config, Env: v.Env, Secrets: v.secrets}
	r.Config.Env = v.Config
	var err error
	if r.users, err = usersOf(paths, rev); err != nil {
		return r, err
	}
	r.App, err = build.Deployed(rev, paths.Snapshot(rev.ID))
	return r, err
}
