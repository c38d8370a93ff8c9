package top

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"causeway/internal/report"
)

// Ask returns a PoP's report.
type Ask func(ctx context.Context) (report.PoP, error)

// Model is the view with keys and time, for bubbletea.
type Model struct {
	Look
	ask   Ask
	every time.Duration
}

// NewModel returns a model that asks every so often.
func NewModel(ask Ask, every time.Duration, colour bool) Model {
	return Model{ask: ask, every: every, Look: Look{Width: 80, Height: 24, Colour: colour}}
}

// answered is what came of asking.
type answered struct {
	pop report.PoP
	err error
}

type due struct{}

// Init asks for the first time.
func (m Model) Init() tea.Cmd { return m.askNow() }

func (m Model) askNow() tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p, err := m.ask(ctx)
		return answered{p, err}
	}
}

// Update takes in keys, sizes and answers.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.Width, m.Height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m.key(msg.String())
	case due:
		if m.Paused {
			return m, m.later()
		}
		return m, m.askNow()
	case answered:
		m.Problem = ""
		if msg.err != nil {
			m.Problem = msg.err.Error()
		} else if !m.Paused {
			m.Before, m.Now = m.Now, msg.pop
		}
		return m, m.later()
	}
	return m, nil
}

func (m Model) later() tea.Cmd {
	return tea.Tick(m.every, func(time.Time) tea.Msg { return due{} })
}

func (m Model) key(name string) (tea.Model, tea.Cmd) {
	switch name {
	case "q", "ctrl+c", "esc":
		return m, tea.Quit
	case "tab", "right", "l":
		m.Page, m.Scroll = (m.Page+1)%len(Pages), 0
	case "shift+tab", "left", "h":
		m.Page, m.Scroll = (m.Page+len(Pages)-1)%len(Pages), 0
	case "1", "2", "3":
		m.Page, m.Scroll = int(name[0]-'1'), 0
	case "down", "j":
		m.Scroll = min(m.Scroll+1, len(m.list()))
	case "up", "k":
		m.Scroll = max(0, m.Scroll-1)
	case "pgdown":
		m.Scroll = min(m.Scroll+m.Height/2, len(m.list()))
	case "pgup":
		m.Scroll = max(0, m.Scroll-m.Height/2)
	case "home", "g":
		m.Scroll = 0
	case " ":
		m.Paused = !m.Paused
	}
	return m, nil
}

// View implements tea.Model.
func (m Model) View() string { return View(m.Look) }

// Run shows it on the terminal until somebody quits or ctx ends.
func Run(ctx context.Context, m Model) error {
	_, err := tea.NewProgram(m, tea.WithAltScreen(), tea.WithContext(ctx)).Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
