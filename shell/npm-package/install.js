// Puts the program itself in the place of the script bin/act-claude.bin, so that a launch starts nothing else. Where this is not
// possible, the script stays, which works as well. Needs no package, and runs with old versions of Node.
//
// pnpm starts a command through a script of its own, which names the shell that bin/act-claude.bin needed when it was made. So there
// it has to stay a script.
'use strict'

const fs = require('fs')
const path = require('path')

const own = require('./package.json')
const name = own.name + '-' + process.platform + '-' + process.arch
const command = path.join(__dirname, 'bin', 'act-claude.bin')
const prepared = command + '.' + process.pid
const agent = process.env.npm_config_user_agent || ''

try {
  if (agent.startsWith('pnpm') || __dirname.includes(path.sep + '.pnpm' + path.sep)) {
    throw new Error('pnpm needs it')
  }
  const manifest = require.resolve(name + '/package.json', { paths: [__dirname] })
  const version = require(manifest).version
  if (version !== own.version) {
    console.error('act-claude: ' + name + ' has version ' + version + ', this package has ' + own.version)
  }
  const program = path.join(path.dirname(manifest), 'act-claude')
  // A running program is never written to: the new file takes the name of the old one.
  try {
    fs.linkSync(program, prepared)
  } catch (error) {
    fs.copyFileSync(program, prepared)
    fs.chmodSync(prepared, 0o755)
  }
  fs.renameSync(prepared, command)
} catch (error) {
  console.error('act-claude: the script ' + command + ' stays in place of the program: ' + error.message.split('\n')[0])
} finally {
  // Is still there where something failed, and where both names already were the same file.
  try {
    fs.unlinkSync(prepared)
  } catch (error) {
    // It is gone.
  }
}
