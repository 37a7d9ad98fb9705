from colorcli.cli.app import main

main()
