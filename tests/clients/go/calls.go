package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/client"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/param"
)

// answerCalls makes the call of each line of the standard input, and prints one line that says what the SDK made of it.
func answerCalls(node *client.ZSClient) {
	fmt.Println("said: ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		report := "ok"
		if err := call(node, lines.Text()); err != nil {
			report = strings.Join(strings.Fields(err.Error()), " ")
		}
		fmt.Println("said:", report)
	}
}

func call(node *client.ZSClient, line string) error {
	name, argument, _ := strings.Cut(line, " ")
	var err error
	switch name {
	case "login":
		_, err = node.Login()
	case "zones":
		_, err = node.QueryZone(param.NewQueryParam())
	case "storages":
		_, err = node.QueryBackupStorage(param.NewQueryParam())
	case "add":
		_, err = node.AddImageStoreBackupStorage(param.AddImageStoreBackupStorageParam{
			Params: param.AddImageStoreBackupStorageDetailParam{
				Name: argument, Hostname: argument, Username: "root", Password: "password", Url: "/cdpdata",
			},
		})
	default:
		err = fmt.Errorf("no such call: %s", line)
	}
	return err
}
