// Fastify on node-postgres, as an expert would write it: a schema for all that comes in or goes out, statements that are
// prepared once, and tokens remembered by the plugin that verifies them.

import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'

const COLUMNS = 'id, user_id, title, description, completed, created_at, updated_at'
const ONE = 'user_id = $1 AND id = $2'

const listing = (name, condition = '') => ({
  name: `list-${name}`,
  text: `SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 ${condition} ORDER BY created_at, id LIMIT $2`,
})
const LIST = {
  all: listing('all'),
  pending: listing('pending', 'AND NOT completed'),
  completed: listing('completed', 'AND completed'),
}
const CREATE = {
  name: 'create',
  text: `INSERT INTO tasks (user_id, id, title, description, completed) VALUES ($1, uuidv7(), $2, $3, $4)
         RETURNING ${COLUMNS}`,
}
const GET = { name: 'get', text: `SELECT ${COLUMNS} FROM tasks WHERE ${ONE}` }
const UPDATE = {
  name: 'update',
  text: `UPDATE tasks
         SET title = coalesce($3, title), description = CASE WHEN $4 THEN $5 ELSE description END,
             completed = coalesce($6, completed), updated_at = now()
         WHERE ${ONE} RETURNING ${COLUMNS}`,
}
const TOGGLE = {
  name: 'toggle',
  text: `UPDATE tasks SET completed = NOT completed, updated_at = now() WHERE ${ONE} RETURNING ${COLUMNS}`,
}
const DELETE = { name: 'delete', text: `DELETE FROM tasks WHERE ${ONE}` }

const title = { type: 'string', maxLength: 200, pattern: '\\S' }
const description = { type: 'string', nullable: true, maxLength: 1000 }
const completed = { type: 'boolean' }

const user = { type: 'object', properties: { user_id: { type: 'string' } } }
const one = { type: 'object', properties: { ...user.properties, task_id: { type: 'string', format: 'uuid' } } }
const query = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 },
    status: { enum: Object.keys(LIST), default: 'all' },
  },
}
const newTask = {
  type: 'object',
  required: ['title'],
  properties: { title, description: { ...description, default: null }, completed: { ...completed, default: false } },
}
const changes = { type: 'object', properties: { title, description, completed } }

const moment = { type: 'string', format: 'date-time' }
const task = {
  type: 'object',
  required: ['id', 'user_id', 'title', 'description', 'completed', 'created_at', 'updated_at'],
  properties: {
    id: { type: 'string' },
    user_id: { type: 'string' },
    title: { type: 'string' },
    description: { type: 'string', nullable: true },
    completed: { type: 'boolean' },
    created_at: moment,
    updated_at: moment,
  },
}
const tasks = { type: 'array', items: task }

// PostgreSQL's text of a moment in UTC is RFC 3339 but for the separator and the offset. A Date would cost more, and
// drop the microseconds by which lists are ordered.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}Z`)

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, options: '-c timezone=UTC' })
const run = (statement, ...values) => pool.query({ ...statement, values })

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

const sendOne = ({ rows }, reply) => {
  if (rows.length === 0) return reply.code(404).send({ detail: 'The user has no such task.' })
  return rows[0]
}

const TASKS = '/api/:user_id/tasks'

app.get(TASKS, { schema: { params: user, querystring: query, response: { 200: tasks } } }, async (request) => {
  const { limit, status } = request.query
  const { rows } = await run(LIST[status], request.params.user_id, limit)
  return rows
})

app.post(TASKS, { schema: { params: user, body: newTask, response: { 201: task } } }, async (request, reply) => {
  const { title, description, completed } = request.body
  const { rows } = await run(CREATE, request.params.user_id, title, description, completed)
  reply.code(201).header('Location', `/api/${request.params.user_id}/tasks/${rows[0].id}`)
  return rows[0]
})

app.get(`${TASKS}/:task_id`, { schema: { params: one, response: { 200: task } } }, async (request, reply) => {
  const { user_id, task_id } = request.params
  return sendOne(await run(GET, user_id, task_id), reply)
})

app.put(
  `${TASKS}/:task_id`,
  { schema: { params: one, body: changes, response: { 200: task } } },
  async (request, reply) => {
    const { user_id, task_id } = request.params
    const { title, description, completed } = request.body
    const described = description !== undefined
    return sendOne(await run(UPDATE, user_id, task_id, title, described, description, completed), reply)
  },
)

app.patch(`${TASKS}/:task_id/complete`, { schema: { params: one, response: { 200: task } } }, async (request, reply) => {
  const { user_id, task_id } = request.params
  return sendOne(await run(TOGGLE, user_id, task_id), reply)
})

app.delete(`${TASKS}/:task_id`, { schema: { params: one } }, async (request, reply) => {
  const { rowCount } = await run(DELETE, request.params.user_id, request.params.task_id)
  return reply.code(rowCount === 0 ? 404 : 204).send()
})

process.once('SIGTERM', async () => {
  await app.close()
  await pool.end()
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
