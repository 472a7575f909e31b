// Fastify on node-postgres, in the way of an expert: a schema for every request and response, prepared statements, and
// verified tokens cached by the JWT plugin.

import { readFileSync } from 'node:fs'

import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'

const sql = JSON.parse(readFileSync(new URL('../statements.json', import.meta.url)))

const title = { type: 'string', maxLength: 200, pattern: '\\S' }
const description = { type: 'string', nullable: true, maxLength: 1000 }
const completed = { type: 'boolean' }

const timestamp = { type: 'string', format: 'date-time' }
const uuid = { type: 'string', format: 'uuid' }

const object = (properties, required = []) => ({ type: 'object', properties, required })
const params = object({ user_id: { type: 'string' }, task_id: uuid })
const querystring = object({
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 },
  status: { enum: ['all', 'pending', 'completed'], default: 'all' },
})
const newTask = object({ title, description: { ...description, default: null }, completed: { ...completed, default: false } }, ['title'])
const changes = object({ title, description, completed })
const members = { id: uuid, user_id: { type: 'string' }, title, description, completed, created_at: timestamp, updated_at: timestamp }
const task = object(members, Object.keys(members))

// PostgreSQL writes a timestamp in UTC as RFC 3339 does, except for the separator and the offset. A Date would cost more
// and drop the microseconds by which lists are ordered.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}Z`)

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, options: '-c timezone=UTC' })
const run = (name, ...values) => pool.query({ name, text: sql[name], values })

const app = Fastify({ logger: false })

app.register(jwt, {
  secret: process.env.BETTER_AUTH_SECRET,
  verify: { algorithms: ['HS256'], requiredClaims: ['sub', 'exp'], cache: true },
})

app.addHook('onRequest', async (request, reply) => {
  try {
    await request.jwtVerify()
  } catch {
    return reply.code(401).header('WWW-Authenticate', 'Bearer').send({ detail: 'A valid token is needed.' })
  }
  if (request.user.sub !== request.params.user_id) {
    return reply.code(403).send({ detail: 'The path names another user.' })
  }
})

app.setErrorHandler((error, _request, reply) => {
  const status = error.validation ? 422 : (error.statusCode ?? 500)
  reply.code(status).send({ detail: error.message })
})

// Runs a statement about one task with the ids in the path.
const one = (name, values = () => []) => async ({ params, body }, reply) => {
  const { rows } = await run(name, params.user_id, params.task_id, ...values(body))
  if (rows.length === 0) return reply.code(404).send({ detail: 'The user has no such task.' })
  return name === 'delete' ? reply.code(204).send() : rows[0]
}
const schema = { params, response: { 200: task } }
const TASKS = '/api/:user_id/tasks'
const TASK = `${TASKS}/:task_id`

app.get(TASKS, { schema: { params, querystring, response: { 200: { type: 'array', items: task } } } }, async (request) => {
  const { limit, status } = request.query
  return (await run(status, request.params.user_id, limit)).rows
})

app.post(TASKS, { schema: { params, body: newTask, response: { 201: task } } }, async ({ params, body }, reply) => {
  const { rows } = await run('create', params.user_id, body.title, body.description, body.completed)
  return reply.code(201).header('Location', `/api/${params.user_id}/tasks/${rows[0].id}`).send(rows[0])
})

app.get(TASK, { schema }, one('get'))
app.patch(`${TASK}/complete`, { schema }, one('toggle'))
app.delete(TASK, { schema: { params } }, one('delete'))
app.put(TASK, { schema: { ...schema, body: changes } }, one('update', ({ title, description, completed }) => [
  title, description !== undefined, description, completed,
]))

process.once('SIGTERM', async () => {
  await app.close()
  await pool.end()
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
