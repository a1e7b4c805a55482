package imagestorelab

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// CommandVariable names the environment variable with the command that runs imagestore-sim, if it is not on the PATH.
const CommandVariable = "IMAGESTORE_SIM_COMMAND"

const (
	readyWithin = 2 * time.Minute
	// An engine may have to fetch the image.
	containerReadyWithin = 2 * time.Minute
	// How long after a call that failed the end of the lab may show.
	endedWithin = time.Second
	keptOutput  = 4096
	port        = "8080"
	docker      = "docker"
	install     = "install it (pip install, with the folder of its repository), name it by " + CommandVariable +
		", or a running lab by " + URLVariable
	installDocker = "it starts images"
	labToken      = "IMAGESTORE_SIM_LAB_TOKEN"
	// What the variables of the command's options begin with. The test chooses the options of its lab.
	optionVariables = "IMAGESTORE_SIM_"
	// A shell adds it to the number of the signal that ended a program.
	ofSignal = 128
	signals  = 64
)

// supervise runs a lab until its own input ends, which it does however this process dies, then stops the lab within
// five seconds. It ends as the lab does, and outlives the signals that a terminal sends to all of its processes.
const supervise = `trap : INT TERM HUP
exec 3<&0
"$@" 3<&- </dev/null & lab=$!
exec 2>/dev/null
(trap : INT TERM HUP; read -r line <&3; kill -TERM $lab; sleep 5; kill -KILL $lab) >/dev/null 2>&1 & watch=$!
wait $lab
status=$?
while kill -0 $lab 2>/dev/null; do wait $lab; status=$?; done
kill -KILL $watch 2>/dev/null
exit $status`

type settings struct {
	hosts     int
	clock     string
	token     string
	arguments []string
	command   string
	image     string
}

// Option changes how Start starts a lab.
type Option func(*settings)

// WithHosts starts that many simulated hosts instead of three: imagestore-1, imagestore-2, ...
func WithHosts(count int) Option {
	return func(chosen *settings) {
		chosen.hosts = count
		WithArguments("--hosts", strconv.Itoa(count))(chosen)
	}
}

// WithSeed makes all that is random follow from the seed, uuids among it.
func WithSeed(seed int) Option { return WithArguments("--seed", strconv.Itoa(seed)) }

// WithClock chooses the clock: "real", "paused", or the time at which it begins and stands still, such as
// "2000-01-01T00:00:00Z", where a bubble of testing/synctest begins too.
func WithClock(clock string) Option {
	return func(chosen *settings) {
		chosen.clock = clock
		WithArguments("--clock", clock)(chosen)
	}
}

// WithToken protects the lab's own API by a token, or names that of a lab that runs already.
func WithToken(secret string) Option {
	return func(chosen *settings) { chosen.token = secret }
}

// WithZStack chooses the version of ZStack to answer as: "3.10", "4.8", "5.2" or "5.4".
func WithZStack(version string) Option { return WithArguments("--zstack", version) }

// WithPingInterval pings each storage that often, instead of each second in real time and else each minute, as ZStack
// does.
func WithPingInterval(interval time.Duration) Option {
	return WithArguments("--ping-interval", strconv.Itoa(int(interval.Seconds())))
}

// WithArguments adds options of the command `imagestore-sim lab`.
func WithArguments(arguments ...string) Option {
	return func(chosen *settings) { chosen.arguments = append(chosen.arguments, arguments...) }
}

// WithCommand names the program to run instead of IMAGESTORE_SIM_COMMAND or `imagestore-sim` on the PATH.
func WithCommand(command string) Option {
	return func(chosen *settings) { chosen.command = command }
}

// WithImage runs a container of that image by the command line of Docker, instead of a command.
func WithImage(image string) Option {
	return func(chosen *settings) { chosen.image = image }
}

func settingsOf(options []Option) settings {
	chosen := settings{hosts: -1, clock: realClock, command: os.Getenv(CommandVariable)}
	for _, option := range options {
		option(&chosen)
	}
	if chosen.command == "" {
		chosen.command = "imagestore-sim"
	}
	interval := "60"
	if chosen.clock == realClock {
		interval = "1"
	}
	chosen.arguments = append([]string{"--ping-interval", interval}, chosen.arguments...)
	return chosen
}

// launch starts a lab, and returns it once it is ready.
func launch(t testing.TB, chosen settings) (*process, error) {
	if chosen.image == "" {
		line := append([]string{chosen.command, "lab", "--port", "0"}, chosen.arguments...)
		return run(t, line, chosen.token, readyWithin)
	}
	name := fmt.Sprintf("imagestore-lab-%08x", rand.Uint32())
	line := []string{docker, "run", "--rm", "--name", name, "--publish", "127.0.0.1::" + port, "--env", labToken,
		chosen.image, "lab", "--host", "0.0.0.0", "--port", port}
	started, err := run(t, append(line, chosen.arguments...), chosen.token, containerReadyWithin)
	if err != nil {
		return nil, err
	}
	published, err := exec.Command(docker, "port", name, port+"/tcp").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("docker port %s: %w: %s", name, err, published)
	}
	address, _, _ := strings.Cut(string(published), "\n")
	started.address = "http://" + address
	return started, nil
}

// process is a lab that was started here.
type process struct {
	address string
	errors  *tail
	// stopping is closed before the lab is stopped, ended once it has ended with the status.
	stopping, ended chan struct{}
	status          int
	asked           chan struct{}
	answers         chan string
}

// ending returns how the lab has ended, with the end of its standard error; nothing if it has not.
func (started *process) ending() string {
	select {
	case <-started.stopping:
		return "the lab was stopped"
	case started.asked <- struct{}{}:
		return <-started.answers
	}
}

// answer answers ending, by the machine's time: one who asks may be in a bubble of testing/synctest, whose time stands
// still while it waits.
func (started *process) answer() {
	for {
		select {
		case <-started.stopping:
			return
		case <-started.asked:
		}
		select {
		case <-started.ended:
			started.answers <- fmt.Sprintf("the lab has ended with %s%s", statusText(started.status), started.errors.after())
		case <-time.After(endedWithin):
			started.answers <- ""
		}
	}
}

// run starts a command that runs a lab, and returns it once it has printed its address.
func run(t testing.TB, line []string, token string, within time.Duration) (*process, error) {
	program, err := exec.LookPath(line[0])
	if err != nil {
		return nil, fmt.Errorf("%s is not there: %s", line[0], installing(line[0]))
	}
	command := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", program}, line[1:]...)...)
	command.Env = environment(token)
	// A program that the lab has started may hold its standard error open.
	command.WaitDelay = endedWithin
	started := &process{errors: &tail{}, stopping: make(chan struct{}), ended: make(chan struct{}),
		asked: make(chan struct{}), answers: make(chan string)}
	command.Stderr = started.errors
	output := &reader{ready: make(chan string, 1)}
	command.Stdout = output
	life, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe to the lab: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go started.answer()
	go func() {
		// The status is read below; of what Wait returns beside it, nothing is about the lab.
		_ = command.Wait()
		started.status = exitStatus(command.ProcessState)
		close(started.ended)
	}()
	stop := func() {
		close(started.stopping)
		life.Close()
		<-started.ended
	}
	name := strings.Join(line[:min(2, len(line))], " ")
	select {
	case started.address = <-output.ready:
		t.Cleanup(stop)
		return started, nil
	case <-started.ended:
		stop()
		return nil, fmt.Errorf("%s: the lab ended with %s before it was ready%s", name, statusText(started.status),
			started.errors.after())
	case <-time.After(within):
		stop()
		return nil, fmt.Errorf("%s: the lab was not ready within %g s%s", name, within.Seconds(), started.errors.after())
	}
}

func installing(program string) string {
	if program == docker {
		return installDocker
	}
	return install
}

// environment returns the variables of this process, but for the options of the command, and with the token.
func environment(token string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, optionVariables) {
			kept = append(kept, variable)
		}
	}
	if token != "" {
		kept = append(kept, labToken+"="+token)
	}
	return kept
}

func exitStatus(state *os.ProcessState) int {
	if waited, known := state.Sys().(syscall.WaitStatus); known && waited.Signaled() {
		return ofSignal + int(waited.Signal())
	}
	return state.ExitCode()
}

// statusText returns the exit status of a program in words, such as "status 137 (signal 9)".
func statusText(status int) string {
	if status > ofSignal && status <= ofSignal+signals {
		return fmt.Sprintf("status %d (signal %d)", status, status-ofSignal)
	}
	return fmt.Sprintf("status %d", status)
}

// reader takes what the lab prints, and passes on the address of the line that says it is ready.
type reader struct {
	ready chan string
	line  []byte
	done  bool
}

func (kept *reader) Write(text []byte) (int, error) {
	for _, one := range text {
		switch {
		case kept.done:
		case one != '\n':
			kept.line = append(kept.line, one)
		default:
			address, found := strings.CutPrefix(string(kept.line), "ready ")
			if kept.line = nil; found && strings.HasPrefix(address, "http") {
				kept.done = true
				kept.ready <- strings.TrimRight(address, "/\r ")
			}
		}
	}
	return len(text), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	lock sync.Mutex
	text []byte
}

func (kept *tail) Write(text []byte) (int, error) {
	kept.lock.Lock()
	defer kept.lock.Unlock()
	kept.text = append(kept.text, text...)
	kept.text = kept.text[max(0, len(kept.text)-keptOutput):]
	return len(text), nil
}

// after returns what continues an error: what was written, on lines of its own, or that nothing was.
func (kept *tail) after() string {
	kept.lock.Lock()
	defer kept.lock.Unlock()
	if text := strings.TrimSpace(string(kept.text)); text != "" {
		return "\n" + text
	}
	return ", and wrote nothing to its standard error"
}
