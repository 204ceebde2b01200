// The simplest thing that behaves like a directory tree: what vfs is compared with in model.test.ts.

export interface ModelNode {
  isDirectory: boolean
  mode: number
  links: number
  /** directories only */
  entries: Map<string, number>
  parent: number
}

export interface ModelState {
  nodes: Map<number, ModelNode>
  next: number
}

export const MODEL_TOP = 0

/** Every operation answers with the errno that is to come, or undefined. */
export class TreeModel {
  state: ModelState = {
    nodes: new Map([[MODEL_TOP, makeNode(true, 0o755, MODEL_TOP)]]),
    next: 1,
  }

  node(id: number): ModelNode {
    const node = this.state.nodes.get(id)
    if (node === undefined) throw new Error(`the model has no node ${id}`)
    return node
  }

  find(directory: number, name: string): number | undefined {
    return this.node(directory).entries.get(name)
  }

  /** paths of all directories, the top first */
  directories(): { path: string[]; id: number }[] {
    const found: { path: string[]; id: number }[] = []
    const visit = (path: string[], id: number): void => {
      found.push({ path, id })
      for (const [name, child] of [...this.node(id).entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (this.node(child).isDirectory) visit([...path, name], child)
      }
    }
    visit([], MODEL_TOP)
    return found
  }

  make(directory: number, name: string, isDirectory: boolean, mode: number): string | undefined {
    if (this.find(directory, name) !== undefined) return 'EEXIST'
    const id = this.state.next++
    this.state.nodes.set(id, makeNode(isDirectory, mode, directory))
    this.node(directory).entries.set(name, id)
    return undefined
  }

  link(from: number, name: string, to: number, newName: string): string | undefined {
    const id = this.find(from, name)
    if (id === undefined) return 'ENOENT'
    const node = this.node(id)
    if (node.isDirectory) return 'EPERM'
    if (this.find(to, newName) !== undefined) return 'EEXIST'
    node.links++
    this.node(to).entries.set(newName, id)
    return undefined
  }

  unlink(directory: number, name: string): string | undefined {
    const id = this.find(directory, name)
    if (id === undefined) return 'ENOENT'
    if (this.node(id).isDirectory) return 'EISDIR'
    this.#drop(directory, name, id)
    return undefined
  }

  rmdir(directory: number, name: string): string | undefined {
    const id = this.find(directory, name)
    if (id === undefined) return 'ENOENT'
    const node = this.node(id)
    if (!node.isDirectory) return 'ENOTDIR'
    if (node.entries.size > 0) return 'ENOTEMPTY'
    this.#drop(directory, name, id)
    return undefined
  }

  rename(
    from: number,
    name: string,
    to: number,
    newName: string,
    flag: 'none' | 'noReplace' | 'exchange',
  ): string | undefined {
    const source = this.find(from, name)
    if (source === undefined) return 'ENOENT'
    if (this.#isWithin(to, source)) return 'EINVAL'
    const target = this.find(to, newName)
    if (target === undefined && flag === 'exchange') return 'ENOENT'
    if (target !== undefined && flag === 'noReplace') return 'EEXIST'
    if (target === source) return undefined
    if (target !== undefined && flag === 'exchange') {
      if (this.#isWithin(from, target)) return 'EINVAL'
      this.#place(from, name, target)
      this.#place(to, newName, source)
      return undefined
    }
    if (target !== undefined) {
      const { isDirectory, entries } = this.node(target)
      if (this.node(source).isDirectory && !isDirectory) return 'ENOTDIR'
      if (!this.node(source).isDirectory && isDirectory) return 'EISDIR'
      if (entries.size > 0) return 'ENOTEMPTY'
      this.#drop(to, newName, target)
    }
    this.node(from).entries.delete(name)
    this.#place(to, newName, source)
    return undefined
  }

  #place(directory: number, name: string, id: number): void {
    this.node(directory).entries.set(name, id)
    this.node(id).parent = directory
  }

  #drop(directory: number, name: string, id: number): void {
    this.node(directory).entries.delete(name)
    const node = this.node(id)
    node.links--
    if (node.links === 0) this.state.nodes.delete(id)
  }

  #isWithin(directory: number, ancestor: number): boolean {
    if (!this.node(ancestor).isDirectory) return false
    for (let at = directory; ; at = this.node(at).parent) {
      if (at === ancestor) return true
      if (at === MODEL_TOP) return false
    }
  }
}

function makeNode(isDirectory: boolean, mode: number, parent: number): ModelNode {
  return { isDirectory, mode, links: 1, entries: new Map(), parent }
}
