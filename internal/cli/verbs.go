package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/apiform"
	"causeway/internal/nearest"
	"causeway/internal/resource"
)

// NounCommands are `causeway NOUN` for every kind of resource, save those whose
// command is made elsewhere.
func NounCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, n := range nouns {
		if n.explicit {
			continue
		}
		name := string(n.kind)
		c := &cobra.Command{
			Use:     name,
			Short:   "Create, look at, change and delete " + n.kind.Noun() + "s",
			Long:    n.about,
			Example: fmt.Sprintf("  causeway %s create %s\n  causeway %s list", name, n.create, name),
			Args:    onlyVerbs,
			RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
		}
		c.AddCommand(n.commands()...)
		commands = append(commands, c)
	}
	return commands
}

// PoPVerbs are the noun's verbs for `causeway pop`, which also runs PoPs.
func PoPVerbs() []*cobra.Command { return popNoun.commands() }

// onlyVerbs refuses arguments of a noun, and says which verb may have been meant.
func onlyVerbs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := Misuse("there is no command %q under %q", args[0], c.CommandPath())
	var known []string
	for _, sub := range c.Commands() {
		known = append(known, sub.Name())
	}
	if near := nearest.Of(args[0], known); near != "" {
		return err.WithFix("did you mean %s %s?", c.CommandPath(), near)
	}
	return err.WithFix("allowed: %s", strings.Join(known, ", "))
}

// commands are the noun's verbs.
func (n *noun) commands() []*cobra.Command {
	list := []*cobra.Command{n.createCommand(), n.getCommand(), n.listCommand()}
	if n.change != "" {
		list = append(list, n.updateCommand())
	}
	list = append(list, n.deleteCommand(), n.describeCommand(), n.watchCommand())
	for _, verb := range n.verbs {
		r := &remote{}
		c := verb(r)
		r.flags(c)
		r.completes(c, n.kind, 1)
		list = append(list, c)
	}
	return list
}

func (n *noun) example(verb, rest string) string {
	return strings.TrimRight(fmt.Sprintf("  causeway %s %s %s", n.kind, verb, rest), " ")
}

func (n *noun) createCommand() *cobra.Command {
	r, meta := &remote{}, metaFlags{}
	c := &cobra.Command{Use: "create [NAME]", Short: "Create " + article(n.kind.Noun()), Example: n.example("create", n.create), Args: atMostOne}
	flags := &specFlags{command: c}
	n.flags(flags)
	meta.add(c)
	dryRun, wait, quiet := mutationFlags(c)
	output := OutputFlag(c, "table", "wide", "json", "yaml")
	r.flags(c)
	r.completes(c, n.kind, 0)
	c.RunE = func(c *cobra.Command, args []string) error {
		o := apiform.New(n.kind)
		if len(args) > 0 {
			o.Head().Name = args[0]
		}
		meta.apply(c, o)
		if err := flags.apply(o); err != nil {
			return err
		}
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			made, err := client.Create(ctx, o, apiclient.Options{DryRun: *dryRun})
			if err != nil {
				return err
			}
			switch {
			case *dryRun:
			case *wait:
				made.Object, err = n.settled(ctx, client, made.Head().Name)
			default:
				made.Object, err = client.Get(ctx, n.kind, made.Head().Name) // how it fares by now
			}
			if err != nil {
				return err
			}
			return n.tellMade(c, output, made, *dryRun, *quiet)
		})
	}
	return c
}

// tellMade prints what was created. A secret is shown here or never.
func (n *noun) tellMade(c *cobra.Command, output *Format, made apiclient.Made, dryRun, quiet bool) error {
	w := c.OutOrStdout()
	secret := made.Secret
	if key, ok := made.Object.(*resource.AccessKey); ok && secret != "" {
		secret = key.ID + "." + secret
	}
	switch {
	case quiet && secret != "":
		_, err := fmt.Fprintln(w, secret)
		return err
	case quiet:
		_, err := fmt.Fprintln(w, made.Head().Name)
		return err
	case output.Is("json"), output.Is("yaml"):
		if secret == "" {
			return printTree(w, made.Object, output.Is("yaml"))
		}
		return printTree(w, struct {
			Resource resource.Object `json:"resource"`
			Secret   string          `json:"secret"`
		}{made.Object, secret}, output.Is("yaml"))
	}
	if _, err := fmt.Fprintln(w, did(made.Object, "created", dryRun)); err != nil {
		return err
	}
	warn(c.ErrOrStderr(), made.Object)
	if secret != "" {
		_, err := fmt.Fprintf(w, "\n  %s\n\nThis secret is shown once. Keep it where only its user can read it.\n", secret)
		return err
	}
	return n.table(w, output, made.Object)
}

func (n *noun) getCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{Use: "get NAME", Short: "Show one " + n.kind.Noun() + " in a line", Example: n.example("get", n.sample()) + " -o json", Args: exactly(1, "one name or ID")}
	output := OutputFlag(c, "table", "wide", "json", "yaml")
	secrets := n.secretsFlag(c)
	r.flags(c)
	r.completes(c, n.kind, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			o, err := n.read(ctx, client, args[0], *secrets)
			if err != nil {
				return err
			}
			return n.print(c.OutOrStdout(), output, o)
		})
	}
	return c
}

// secretsFlag is the flag that unmasks, of nouns that have something behind masks.
func (n *noun) secretsFlag(c *cobra.Command) *bool {
	show := false
	if n.secrets {
		c.Flags().BoolVar(&show, "show-secrets", false, "show secrets in place of masks; needs the role operator")
	}
	return &show
}

// read gets one resource, with its secrets if they are asked for.
func (n *noun) read(ctx context.Context, client *apiclient.Client, name string, secrets bool) (resource.Object, error) {
	if !secrets {
		return client.Get(ctx, n.kind, name)
	}
	answer, err := client.Call(ctx, "ControlService", "RevealSecrets", &v1.Ref{Kind: string(n.kind), Name: name})
	if err != nil {
		return nil, err
	}
	return apiform.DecodeObject(answer.(*v1.Object))
}

func (n *noun) listCommand() *cobra.Command {
	r, query := &remote{}, &v1.ListRequest{}
	c := &cobra.Command{Use: "list", Short: "List " + n.kind.Noun() + "s", Example: n.example("list", "") + "\n" + n.example("list", "-o wide"), Args: exactly(0, "no arguments")}
	for _, f := range n.filters {
		target := map[string]*string{"accelerator": &query.Accelerator, "listener": &query.Listener, "region": &query.Region, "pop": &query.Pop, "vpn-gateway": &query.VpnGateway}[f]
		c.Flags().StringVar(target, f, "", "only those of this "+strings.ReplaceAll(f, "-", " "))
	}
	quiet := c.Flags().BoolP("quiet", "q", false, "print names only")
	output := OutputFlag(c, "table", "wide", "json", "yaml")
	r.flags(c)
	r.completes(c, n.kind, 0)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			list, _, err := client.List(ctx, n.kind, query)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			switch {
			case *quiet:
				for _, o := range list {
					fmt.Fprintln(w, o.Head().Name)
				}
				return nil
			case output.Is("json"), output.Is("yaml"):
				if list == nil {
					list = []resource.Object{}
				}
				return printTree(w, list, output.Is("yaml"))
			}
			return n.table(w, output, list...)
		})
	}
	return c
}

func (n *noun) updateCommand() *cobra.Command {
	r, meta := &remote{}, metaFlags{}
	c := &cobra.Command{Use: "update NAME", Short: "Change " + article(n.kind.Noun()), Example: n.example("update", n.change), Args: exactly(1, "one name or ID"),
		Long: "Changes what the flags say and leaves the rest. Should somebody else have changed\nthe " + n.kind.Noun() + " in between, the change is refused (exit code 5)."}
	flags := &specFlags{command: c, update: true}
	n.flags(flags)
	meta.add(c)
	expect := c.Flags().Int64("revision", 0, "refuse unless it has this revision (default: the one that is read first)")
	dryRun, wait, quiet := mutationFlags(c)
	output := OutputFlag(c, "table", "wide", "json", "yaml")
	r.flags(c)
	r.completes(c, n.kind, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !flags.changed() && !meta.changed(c) {
			return Misuse("nothing is to be changed: no flag says what")
		}
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			o, err := client.Get(ctx, n.kind, args[0])
			if err != nil {
				return err
			}
			if err := flags.apply(o); err != nil {
				return err
			}
			meta.apply(c, o)
			if *expect == 0 {
				*expect = o.Head().Revision
			}
			changed, err := client.Update(ctx, o, apiclient.Options{DryRun: *dryRun, Expect: *expect})
			if err != nil {
				return err
			}
			switch {
			case *dryRun:
			case *wait:
				changed, err = n.settled(ctx, client, changed.Head().Name)
			default:
				changed, err = client.Get(ctx, n.kind, changed.Head().Name)
			}
			if err != nil {
				return err
			}
			if *quiet {
				_, err := fmt.Fprintln(c.OutOrStdout(), changed.Head().Name)
				return err
			}
			if output.Is("table") || output.Is("wide") {
				fmt.Fprintln(c.OutOrStdout(), did(changed, "updated", *dryRun))
				warn(c.ErrOrStderr(), changed)
			}
			return n.print(c.OutOrStdout(), output, changed)
		})
	}
	return c
}

func (n *noun) deleteCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{Use: "delete NAME…", Short: "Delete " + n.kind.Noun() + "s", Example: n.example("delete", n.sample()),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return Misuse("%s takes at least one name or ID", c.CommandPath())
			}
			return nil
		}}
	expect := c.Flags().Int64("revision", 0, "refuse unless it has this revision")
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	r.flags(c)
	r.completes(c, n.kind, maxNames)
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			for _, name := range args {
				if err := client.Delete(ctx, n.kind, name, apiclient.Options{DryRun: *dryRun, Expect: *expect}); err != nil {
					return err
				}
				verb := "deleted"
				if *dryRun {
					verb = "would be deleted"
				}
				fmt.Fprintf(c.OutOrStdout(), "%s %s\n", resource.Ref{Kind: n.kind, Name: name}, verb)
			}
			return nil
		})
	}
	return c
}

func (n *noun) describeCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{Use: "describe NAME", Short: "Show everything about one " + n.kind.Noun(), Example: n.example("describe", n.sample()), Args: exactly(1, "one name or ID")}
	output := OutputFlag(c, "yaml", "json")
	secrets := n.secretsFlag(c)
	r.flags(c)
	r.completes(c, n.kind, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			o, err := n.read(ctx, client, args[0], *secrets)
			if err != nil {
				return err
			}
			return printTree(c.OutOrStdout(), o, output.Is("yaml"))
		})
	}
	return c
}

func (n *noun) watchCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{Use: "watch [NAME]", Short: "Follow changes of " + n.kind.Noun() + "s", Example: n.example("watch", "") + "\n" + n.example("watch", "-o json"), Args: atMostOne,
		Long: "Prints what there is, then every change, until it is interrupted. A connection that\nbreaks is resumed, and no change is left out."}
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	r.completes(c, n.kind, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		w, request := c.OutOrStdout(), &v1.WatchRequest{Kinds: []string{string(n.kind)}}
		if len(args) > 0 {
			request.Name = args[0]
		}
		return r.forever(c, func(ctx context.Context, client *apiclient.Client) error {
			for {
				err := client.Watch(ctx, request, func(m *v1.WatchResponse) error {
					request.AfterRevision = m.GetRevision()
					return n.tellChange(w, output, m)
				})
				if ctx.Err() != nil || !errors.Is(err, apiclient.ErrEnded) && !errors.Is(err, apiclient.ErrUnreachable) || request.AfterRevision == 0 {
					return err
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	return c
}

func (n *noun) tellChange(w io.Writer, output *Format, m *v1.WatchResponse) error {
	change := struct {
		Revision int64           `json:"revision"`
		Change   string          `json:"change"`
		Name     string          `json:"name"`
		Resource resource.Object `json:"resource,omitempty"`
	}{Revision: m.GetRevision(), Change: m.GetChange(), Name: m.GetRef().GetName()}
	if m.GetObject() != nil {
		o, err := apiform.DecodeObject(m.GetObject())
		if err != nil {
			return err
		}
		change.Resource = o
	}
	if output.Is("json") {
		return printLine(w, change)
	}
	line := fmt.Sprintf("%d\t%s\t%s", change.Revision, change.Change, change.Name)
	if change.Resource != nil {
		for _, col := range n.columns {
			if !col.wide {
				line += "\t" + strings.ToLower(strings.TrimPrefix(col.heading, ">")) + "=" + cellText(col.cell(change.Resource))
			}
		}
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func cellText(v any) string {
	if c, ok := v.(Cell); ok {
		return c.Text
	}
	return fmt.Sprint(v)
}

// settled waits until the controller has heard from all PoPs concerned, and no
// rule keeps traffic from flowing. What is incomplete, as a listener without an
// endpoint group, needs no waiting.
func (n *noun) settled(ctx context.Context, client *apiclient.Client, name string) (resource.Object, error) {
	for {
		o, err := client.Get(ctx, n.kind, name)
		if err != nil {
			return nil, err
		}
		s, reason := stateOf(o)
		switch s {
		case resource.Configuring, resource.NotEnrolled, resource.Blocked, resource.IKENotEstablished, resource.IKEEstablished, resource.IPsecNotEstablished:
		case resource.Refused:
			return nil, fmt.Errorf("%s was refused by a PoP: %s", resource.RefOf(o), reason)
		default:
			return o, nil
		}
		select {
		case <-ctx.Done():
			if reason != "" {
				reason = ", as " + reason
			}
			return nil, &Error{Err: fmt.Errorf("%s is still %s%s: %w", resource.RefOf(o), s, reason, ctx.Err()), Code: Timeout,
				Fix: "it is stored; see causeway status, or wait longer with --timeout"}
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stateOf is a resource's state, and the reason for it.
func stateOf(o resource.Object) (resource.State, string) {
	switch o := o.(type) {
	case *resource.PoP:
		return o.Status.State, firstLine(o.Status.Reason, o.Status.Refusal)
	case *resource.Accelerator:
		return o.Status.State, o.Status.Reason
	case *resource.Listener:
		return o.Status.State, o.Status.Reason
	case *resource.EgressIP:
		return o.Status.State, o.Status.Reason
	case *resource.EndpointGroup:
		return o.Status.State, o.Status.Reason
	case *resource.IPSet:
		return o.Status.State, o.Status.Reason
	case *resource.VPNGateway:
		return o.Status.State, firstLine(o.Status.Reason, o.Status.Refusal)
	case *resource.IPsecConnection:
		return o.Status.State, o.Status.Reason
	case *resource.VPNRoute:
		return o.Status.State, o.Status.Reason
	}
	return resource.Active, ""
}

// sample is a name for examples.
func (n *noun) sample() string {
	name, _, _ := strings.Cut(n.create, " ")
	if strings.HasPrefix(name, "-") {
		return string(n.kind.IDPrefix()) + "1a2b3c"
	}
	return name
}

func (n *noun) print(w io.Writer, output *Format, o resource.Object) error {
	if output.Is("json") || output.Is("yaml") {
		return printTree(w, o, output.Is("yaml"))
	}
	return n.table(w, output, o)
}

func (n *noun) table(w io.Writer, output *Format, list ...resource.Object) error {
	heading := []string{"NAME"}
	for _, c := range n.columns {
		if !c.wide || output.Is("wide") {
			heading = append(heading, c.heading)
		}
	}
	t := NewTable(heading...)
	for _, o := range list {
		row := []any{o.Head().Name}
		for _, c := range n.columns {
			if !c.wide || output.Is("wide") {
				row = append(row, c.cell(o))
			}
		}
		t.Row(row...)
	}
	return t.Write(w, Colour(os.Stdout) && w == os.Stdout)
}

// metaFlags are the flags that every resource has.
type metaFlags struct{ title, description string }

func (m *metaFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&m.title, "title", "", "a name for people")
	c.Flags().StringVar(&m.description, "description", "", "what it is for")
}

func (m *metaFlags) changed(c *cobra.Command) bool {
	return c.Flags().Changed("title") || c.Flags().Changed("description")
}

func (m *metaFlags) apply(c *cobra.Command, o resource.Object) {
	if c.Flags().Changed("title") {
		o.Head().Title = m.title
	}
	if c.Flags().Changed("description") {
		o.Head().Description = m.description
	}
}

func mutationFlags(c *cobra.Command) (dryRun, wait, quiet *bool) {
	return c.Flags().Bool("dry-run", false, "judge everything, show what would be, and change nothing"),
		c.Flags().Bool("wait", false, "return when all PoPs concerned run it"),
		c.Flags().BoolP("quiet", "q", false, "print the name only, or the secret of what has one")
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return Misuse("%s takes one name at most, found %q", c.CommandPath(), strings.Join(args, " "))
	}
	return nil
}

func article(noun string) string {
	if strings.ContainsRune("aeiIou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// nameOf is a field's name.
func nameOf(s string) protoreflect.Name { return protoreflect.Name(s) }

func valueOf(s string) protoreflect.Value { return protoreflect.ValueOfString(s) }
